//! Lists and dicts that can be changed, as in Python: a variable and its copy are the same list.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use crate::template::errors::{Args, problem};
use crate::template::growth;

thread_local! {
    /// What dropped lists and dicts held, while one of them is dropped: lists in lists would be dropped in each other, and
    /// a hundred thousand of them take more stack than there is.
    static DROPPED: RefCell<Option<Vec<Vec<Value>>>> = const { RefCell::new(None) };
}

/// Drops values one after the other, however deep they lie in each other.
fn drop_flat(values: Vec<Value>) {
    if values.iter().all(|value| value.as_object().is_none()) {
        return;
    }
    let mut values = Some(values);
    // A thread that ends has no list any more, and drops as Rust does.
    let first = DROPPED.try_with(|dropped| match &mut *dropped.borrow_mut() {
        Some(waiting) => {
            waiting.extend(values.take());
            false
        }
        none => {
            *none = Some(values.take().into_iter().collect());
            true
        }
    });
    if first != Ok(true) {
        return;
    }
    let next = || DROPPED.with(|dropped| dropped.borrow_mut().as_mut().and_then(Vec::pop));
    while let Some(values) = next() {
        drop(values);
    }
    DROPPED.with(|dropped| dropped.borrow_mut().take());
}

/// A list.
#[derive(Debug, Default)]
pub(in crate::template) struct List(Mutex<Vec<Value>>);

impl List {
    /// A list as a value.
    pub fn value(items: Vec<Value>) -> Value {
        Value::from_object(Self(Mutex::new(items)))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<Value>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn items(&self) -> Vec<Value> {
        self.with(|items| items.clone())
    }
}

impl Drop for List {
    fn drop(&mut self) {
        drop_flat(std::mem::take(self.0.get_mut().unwrap_or_else(PoisonError::into_inner)));
    }
}

/// An index as Python has it: negative ones count from the end.
fn index(key: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let at = if key < 0 { key + length } else { key };
    (0..length).contains(&at).then_some(at as usize)
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_i64()?;
        self.with(|items| items.get(index(key, items.len())?).cloned())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.with(|items| items.len()))
    }

    fn call_method(
        self: &Arc<Self>,
        _state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let args = Args::new(args);
        let none = Ok(Value::from(()));
        match method {
            "append" => {
                let item = args.required(0, "append", "item")?;
                growth::held(&item, self.with(|items| items.len()))?;
                self.with(|items| items.push(item));
                none
            }
            "extend" => {
                let more: Vec<Value> = args.required(0, "extend", "items")?.try_iter()?.collect();
                let count = self.with(|items| items.len()) + more.len();
                growth::items(count)?;
                more.iter().try_for_each(|item| growth::held(item, count))?;
                self.with(|items| items.extend(more));
                none
            }
            "insert" => {
                let at = args.required(0, "insert", "index")?.as_i64().unwrap_or(0);
                let item = args.required(1, "insert", "item")?;
                growth::held(&item, self.with(|items| items.len()))?;
                self.with(|items| {
                    let length = items.len() as i64;
                    let at = if at < 0 { (at + length).max(0) } else { at.min(length) };
                    items.insert(at as usize, item);
                });
                none
            }
            "pop" => {
                let at = args.get(0, "index").and_then(|at| at.as_i64()).unwrap_or(-1);
                self.with(|items| index(at, items.len()).map(|at| items.remove(at)))
                    .ok_or_else(|| problem("template-value", "`pop` from a list that has no such item"))
            }
            "remove" => {
                let item = args.required(0, "remove", "item")?;
                let at = self.items().iter().position(|known| *known == item).ok_or_else(|| {
                    problem("template-value", format!("`remove({item:?})`: the list has no such item"))
                })?;
                self.with(|items| items.remove(at));
                none
            }
            "clear" => {
                self.with(Vec::clear);
                none
            }
            "reverse" => {
                self.with(|items| items.reverse());
                none
            }
            "sort" => {
                self.with(|items| items.sort());
                none
            }
            "copy" => Ok(Self::value(self.items())),
            "index" => {
                let item = args.required(0, "index", "item")?;
                let at = self.items().iter().position(|known| *known == item);
                at.map(Value::from).ok_or_else(|| {
                    problem("template-value", format!("`index({item:?})`: the list has no such item"))
                })
            }
            "count" => {
                let item = args.required(0, "count", "item")?;
                Ok(Value::from(self.items().iter().filter(|known| **known == item).count()))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<std::cmp::Ordering> {
        let other: Vec<Value> = match other.repr() {
            ObjectRepr::Seq => other.try_iter()?.collect(),
            _ => return None,
        };
        Some(growth::inside(|| self.items().cmp(&other)).unwrap_or(std::cmp::Ordering::Equal))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        growth::inside(|| f.debug_list().entries(self.items()).finish())
            .unwrap_or_else(|| f.write_str("[...]"))
    }
}

/// A dict, in the order of insertion.
#[derive(Debug, Default)]
pub(in crate::template) struct Dict(Mutex<IndexMap<Value, Value>>);

impl Dict {
    /// A dict as a value.
    pub fn value(entries: IndexMap<Value, Value>) -> Value {
        Value::from_object(Self(Mutex::new(entries)))
    }

    /// A dict with names as keys.
    pub fn named<const N: usize>(entries: [(&str, Value); N]) -> Value {
        Self::value(entries.into_iter().map(|(key, value)| (Value::from(key), value)).collect())
    }

    fn with<T>(&self, work: impl FnOnce(&mut IndexMap<Value, Value>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn entries(&self) -> IndexMap<Value, Value> {
        self.with(|entries| entries.clone())
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        let entries = std::mem::take(self.0.get_mut().unwrap_or_else(PoisonError::into_inner));
        drop_flat(entries.into_values().collect());
    }
}

impl Object for Dict {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.with(|entries| entries.get(key).cloned())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.with(|entries| entries.keys().cloned().collect()))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.with(|entries| entries.len()))
    }

    fn call_method(
        self: &Arc<Self>,
        _state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let args = Args::new(args);
        let none = Value::from(());
        Ok(match method {
            "update" => {
                let mut more: Vec<(Value, Value)> = Vec::new();
                if let Some(other) = args.get(0, "other") {
                    more.extend(super::pairs(&other));
                }
                more.extend(
                    args.named().iter().map(|(key, value)| (Value::from(key.as_str()), value.clone())),
                );
                let count = self.with(|entries| entries.len());
                more.iter().try_for_each(|(_, value)| growth::held(value, count))?;
                self.with(|entries| entries.extend(more));
                none
            }
            "get" => {
                let key = args.required(0, "get", "key")?;
                let default = args.get(1, "default").unwrap_or(none);
                self.with(|entries| entries.get(&key).cloned()).unwrap_or(default)
            }
            "setdefault" => {
                let key = args.required(0, "setdefault", "key")?;
                let default = args.get(1, "default").unwrap_or(none);
                growth::held(&default, self.with(|entries| entries.len()))?;
                self.with(|entries| entries.entry(key).or_insert(default).clone())
            }
            "pop" => {
                let key = args.required(0, "pop", "key")?;
                match (self.with(|entries| entries.shift_remove(&key)), args.get(1, "default")) {
                    (Some(value), _) | (None, Some(value)) => value,
                    (None, None) => {
                        return Err(problem(
                            "template-value",
                            format!("`pop({key:?})`: no such key in the dict"),
                        ));
                    }
                }
            }
            "items" => List::value(
                self.entries()
                    .into_iter()
                    .map(|(key, value)| Value::from(minijinja::value::Tuple::from([key, value])))
                    .collect(),
            ),
            "keys" => List::value(self.entries().into_keys().collect()),
            "values" => List::value(self.entries().into_values().collect()),
            "copy" => Self::value(self.entries()),
            "clear" => {
                self.with(IndexMap::clear);
                none
            }
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        })
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        growth::inside(|| f.debug_map().entries(self.entries()).finish())
            .unwrap_or_else(|| f.write_str("{...}"))
    }
}
