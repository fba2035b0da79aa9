//! A rule of the diff: a kind of change under a stable slug, with what it means where nothing else is said.

use serde::{Serialize, Serializer};

use super::grade::{Bump, Severity};

/// Whom a rule protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protects {
    /// Those who read the model.
    Consumer,
    /// The data that was published before, and whoever adds to it.
    History,
    /// Readers and data alike.
    Both,
    /// A promise about the promise: versions, classifications, support.
    Policy,
}

impl Protects {
    /// The word for tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::History => "history",
            Self::Both => "both",
            Self::Policy => "policy",
        }
    }
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])* $variant:ident $slug:literal $id:literal $severity:ident $bump:ident $protects:ident;)*) => {
        /// What changed. The slug of each is stable: settings, waivers and other tools name it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Rule {
            /// All rules, in the order of their ids.
            pub const ALL: &'static [Rule] = &[$(Rule::$variant,)*];

            /// The stable name.
            pub fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug,)* }
            }

            /// The stable id; rules that are two sides of one change share it.
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// How bad it is where no setting, mode or status says otherwise.
            pub fn default_severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// The smallest step of the version that it asks for.
            pub fn default_bump(self) -> Bump {
                match self { $(Self::$variant => Bump::$bump,)* }
            }

            /// Whom it protects.
            pub fn protects(self) -> Protects {
                match self { $(Self::$variant => Protects::$protects,)* }
            }

            /// One line for a list of rules.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),*).trim_ascii(),)* }
            }
        }
    };
}

rules! {
    /// A column is gone
    ColumnRemoved "column-removed" "DC101" Error Major Consumer;
    /// A column has another name
    ColumnRenamed "column-renamed" "DC102" Error Major Both;
    /// A column is new
    ColumnAdded "column-added" "DC103" Note Minor Consumer;
    /// A column is new, and no row may lack it
    RequiredColumnAdded "required-column-added" "DC104" Warning Minor History;
    /// A type holds all that it held, and more
    TypeWidened "type-widened" "DC111" Warning Minor Consumer;
    /// A type holds less than it held
    TypeNarrowed "type-narrowed" "DC112" Error Major History;
    /// A type means something else
    TypeChanged "type-changed" "DC113" Error Major Both;
    /// A column that was never NULL may be NULL
    RequiredLoosened "required-loosened" "DC120" Error Major Consumer;
    /// A column may not be NULL any more
    RequiredTightened "required-tightened" "DC121" Warning Minor History;
    /// A value may not occur any more
    AcceptedValueRemoved "accepted-value-removed" "DC130" Warning Minor History;
    /// A value may occur that did not
    AcceptedValueAdded "accepted-value-added" "DC131" Warning Minor Consumer;
    /// Any value may occur where a list was promised
    AcceptedValuesDropped "accepted-values-dropped" "DC132" Error Major Consumer;
    /// A range, length or pattern allows more
    RangeLoosened "range-loosened" "DC133" Error Major Consumer;
    /// A range, length or pattern allows less
    RangeTightened "range-tightened" "DC133" Warning Minor History;
    /// A promise of quality is gone
    QualityRuleRemoved "quality-rule-removed" "DC134" Error Major Consumer;
    /// A promise of quality is weaker
    QualityRuleRelaxed "quality-rule-relaxed" "DC134" Warning Minor Consumer;
    /// A key is not promised any more: joins may fan out
    KeyRemoved "key-removed" "DC140" Error Major Consumer;
    /// A key is promised that was not
    KeyAdded "key-added" "DC141" Warning Minor History;
    /// What identifies a row is something else
    KeyChanged "key-changed" "DC142" Error Major Both;
    /// A reference to another model is not promised any more
    RelationshipRemoved "relationship-removed" "DC143" Warning Minor Consumer;
    /// A reference to another model is promised that was not
    RelationshipAdded "relationship-added" "DC143" Warning Minor History;
    /// Columns stand in another order
    OrderChanged "order-changed" "DC150" Note Patch Consumer;
    /// A column is less protected than it was
    ClassificationLowered "classification-lowered" "DC161" Error Major Policy;
    /// A column is more protected than it was
    ClassificationRaised "classification-raised" "DC162" Warning Minor Policy;
    /// A protected column reaches one that is less protected
    ClassificationLeak "classification-leak" "DC163" Error Patch Policy;
    /// Data may be older than it was promised to be
    FreshnessLoosened "freshness-loosened" "DC170" Warning Major Consumer;
    /// Data must be newer than it was promised to be
    FreshnessTightened "freshness-tightened" "DC171" Note Minor History;
    /// A promise about the service is gone or weaker
    SloRemoved "slo-removed" "DC172" Error Major Consumer;
    /// Support ends earlier than was said
    SupportShortened "support-shortened" "DC173" Error Major Consumer;
    /// A model is gone
    ModelRemoved "model-removed" "DC180" Error Major Consumer;
    /// A model is found under another name
    ModelRenamed "model-renamed" "DC181" Error Major Consumer;
    /// The contract's version does not say how much changed
    VersionNotBumped "version-not-bumped" "DC183" Error Patch Policy;
    /// A model's contract is gone
    ContractRemoved "contract-removed" "DC184" Error Major Consumer;
    /// A table became a view, or a view a table
    MaterializationChanged "materialization-changed" "DC185" Warning Minor Consumer;
    /// The same columns are computed in another way
    SemanticsChanged "semantics-changed" "DC190" Note Patch Consumer;
}

impl Rule {
    /// The rule of a slug.
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.slug() == slug)
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.slug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_unique_and_found_again() {
        assert_eq!(Rule::ALL.len(), 35);
        for rule in Rule::ALL {
            assert_eq!(Rule::from_slug(rule.slug()), Some(*rule));
            assert!(!rule.description().is_empty());
        }
        assert_eq!(Rule::from_slug("column-gone"), None);
    }
}
