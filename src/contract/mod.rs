//! stub
use crate::diagnostic::*;
use crate::names::NodeId;
use std::sync::Arc;
/// c
#[derive(Debug, Clone)]
pub struct Contract {
    /// a
    pub model: String,
    /// b
    pub at: Location,
}
/// r
#[derive(Debug, Clone)]
pub struct Rule {}
impl Rule {
    /// s
    pub fn sql(&self, _tested: &str, _other: impl FnMut(&NodeId) -> String, _now: &str) -> String {
        String::new()
    }
}
/// read
pub fn read(_f: &Arc<SourceFile>, _d: &mut Diagnostics) -> Vec<Contract> {
    Vec::new()
}
/// t
pub fn tests(_c: &Contract, _n: &NodeId, _p: &str) -> Vec<crate::manifest::Test> {
    Vec::new()
}
/// d
pub fn disagreements(_c: &Contract, _n: &crate::manifest::Node) -> Diagnostics {
    Diagnostics::new()
}
