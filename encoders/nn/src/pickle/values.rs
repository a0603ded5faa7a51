//! What a pickle is made of, as far as tensors need it. Values lie in tables and refer to each other by number: nothing is copied when a
//! value is named twice, nothing recurses when values nest or hold themselves.

use std::collections::BTreeMap;
use tch::Kind;

/// A value on the stack, or in a tuple, a list or a dictionary.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    /// What is of no use here: numbers that are no integers, options, epochs.
    Other,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    Global(Global),
    Tuple(usize),
    List(usize),
    Dict(usize),
    Storage(usize),
    Tensor(usize),
    Mark,
}

/// What a program may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Size,
    Storage(Kind),
}

impl Global {
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "Size") => Self::Size,
            ("torch", storage) => Self::Storage(match storage {
                "FloatStorage" => Kind::Float,
                "DoubleStorage" => Kind::Double,
                "HalfStorage" => Kind::Half,
                "BFloat16Storage" => Kind::BFloat16,
                "LongStorage" => Kind::Int64,
                "IntStorage" => Kind::Int,
                "ShortStorage" => Kind::Int16,
                "CharStorage" => Kind::Int8,
                "ByteStorage" => Kind::Uint8,
                "BoolStorage" => Kind::Bool,
                _ => return None,
            }),
            _ => return None,
        })
    }
}

/// A member of the archive that tensors' numbers lie in.
#[derive(Debug)]
pub(super) struct Storage<'a> {
    pub kind: Kind,
    pub key: &'a str,
    pub elements: i64,
}

/// A tensor: where it begins in its storage and how it goes on, in elements.
#[derive(Debug)]
pub(super) struct View {
    pub storage: usize,
    pub offset: i64,
    pub shape: Vec<i64>,
    pub strides: Vec<i64>,
}

/// Why a program ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// It costs too much.
    Budget(unisono_files::Error),
    /// It does what no file of tensors does.
    Refused(String),
}

impl From<unisono_files::Error> for Stop {
    fn from(e: unisono_files::Error) -> Self {
        Self::Budget(e)
    }
}

impl From<&str> for Stop {
    fn from(message: &str) -> Self {
        Self::Refused(message.to_owned())
    }
}

/// What a program made.
#[derive(Debug, Default)]
pub(super) struct Made<'a> {
    pub tuples: Vec<Vec<Value<'a>>>,
    pub lists: Vec<Vec<Value<'a>>>,
    pub dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    pub storages: Vec<Storage<'a>>,
    pub tensors: Vec<View>,
    /// What it ended with.
    pub top: Option<Value<'a>>,
}

impl<'a> Made<'a> {
    /// Tensors of the dictionary, and of the `state_dict` or `model` in it, as trainers save it.
    pub(super) fn tensors(&self) -> BTreeMap<&'a str, &View> {
        let mut found = BTreeMap::new();
        let mut seen = vec![false; self.dicts.len()];
        let mut next: Vec<usize> = self.top_dict().into_iter().collect();
        while let Some(dict) = next.pop() {
            // A dictionary may hold itself.
            if std::mem::replace(&mut seen[dict], true) {
                continue;
            }
            for pair in &self.dicts[dict] {
                match pair {
                    (Value::Text("state_dict" | "model"), Value::Dict(inner)) => next.push(*inner),
                    (Value::Text(name), Value::Tensor(i)) => {
                        found.insert(name.strip_prefix("module.").unwrap_or(name), &self.tensors[*i]);
                    }
                    _ => {}
                }
            }
        }
        found
    }

    pub(super) fn storage(&self, view: &View) -> &Storage<'a> {
        &self.storages[view.storage]
    }

    fn top_dict(&self) -> Option<usize> {
        if let Some(Value::Dict(dict)) = self.top { Some(dict) } else { None }
    }

    /// The switch of this name in the dictionary.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        self.dicts[self.top_dict()?].iter().find_map(|pair| match pair {
            (Value::Text(key), Value::Bool(on)) if *key == name => Some(*on),
            _ => None,
        })
    }

    /// The texts of the list that it ended with; `None` where it is something else.
    pub(super) fn texts(&self) -> Option<Vec<&'a str>> {
        let Some(Value::List(list)) = self.top else { return None };
        self.lists[list].iter().map(|v| if let Value::Text(text) = v { Some(*text) } else { None }).collect()
    }
}
