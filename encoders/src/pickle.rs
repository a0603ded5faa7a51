//! PyTorch's archives (`torch.save`), read without executing them. A pickle is a program for a small stack machine; this one
//! knows only what state dictionaries of tensors are written with, builds tensors' places and nothing else, and refuses any other
//! instruction or global by its name.

use crate::weights::Entry;
use crate::{Error, Result};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read};
use std::path::Path;
use std::rc::Rc;
use tch::Kind;

/// A pickle of tensors' names is small; more is not one.
const MOST: u64 = 256 << 20;

#[derive(Debug, Clone)]
enum Value {
    /// What is of no use here: numbers that are no integers, options, epochs.
    Other,
    Int(i64),
    Text(Rc<str>),
    Global(Rc<str>),
    Tuple(Rc<Vec<Value>>),
    List(Rc<RefCell<Vec<Value>>>),
    Dict(Rc<RefCell<Vec<(Value, Value)>>>),
    Storage(Rc<Storage>),
    Tensor(Rc<View>),
    Mark,
}

#[derive(Debug)]
struct Storage {
    kind: Kind,
    key: String,
    elements: i64,
}

#[derive(Debug)]
struct View {
    storage: Rc<Storage>,
    offset: i64,
    shape: Vec<i64>,
    strides: Vec<i64>,
}

/// The tensors of the archive mapped at `map`; `file` is noted in each.
pub(crate) fn entries(path: &Path, map: &[u8], file: usize) -> Result<Vec<(String, Entry)>> {
    let wrong = |message: String| Error::format(path, message);
    if !map.starts_with(b"PK") {
        return Err(wrong(format!(
            "not a zip archive: PyTorch's format from before version 1.6, or cut short; {}",
            advice(path)
        )));
    }
    let mut archive = zip::ZipArchive::new(Cursor::new(map)).map_err(|e| {
        wrong(format!("{} bytes that are no whole archive ({e}); download it again", map.len()))
    })?;
    let names: Vec<String> = archive.file_names().filter_map(|n| n.ok().map(|n| n.into_owned())).collect();
    let Some(root) = names.iter().find_map(|n| n.strip_suffix("data.pkl")).map(str::to_owned) else {
        return Err(wrong(format!("an archive without data.pkl, so none of PyTorch's; {}", advice(path))));
    };
    if names.iter().any(|n| n.starts_with(&format!("{root}code/"))) {
        return Err(wrong(format!("a TorchScript program, which would have to be run; {}", advice(path))));
    }
    let mut program = Vec::new();
    let mut storages = HashMap::new();
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).map_err(|e| wrong(format!("broken archive: {e}")))?;
        let name = entry.name().map_err(|e| wrong(format!("broken archive: {e}")))?.into_owned();
        if name == format!("{root}data.pkl") {
            if entry.size() > MOST {
                return Err(wrong(format!("data.pkl of {} bytes, at most {MOST} are read", entry.size())));
            }
            entry.by_ref().take(MOST).read_to_end(&mut program).map_err(|e| Error::io(path, e))?;
        } else if let Some(key) = name.strip_prefix(&format!("{root}data/")) {
            if entry.compression() != zip::CompressionMethod::Stored {
                return Err(wrong(format!(
                    "{name} is compressed, which PyTorch never writes; {}",
                    advice(path)
                )));
            }
            let start = entry.data_start().unwrap_or(u64::MAX);
            storages.insert(key.to_owned(), (start as usize, entry.size() as usize));
        }
    }
    let top = Machine::new(&program).run().map_err(|e| wrong(format!("{e}; {}", advice(path))))?;
    let mut views = BTreeMap::new();
    collect(&top, &mut views);
    let mut found = Vec::with_capacity(views.len());
    for (name, view) in views {
        let entry =
            place(&view, &storages, map.len(), file).map_err(|e| wrong(format!("tensor {name}: {e}")))?;
        found.push((name, entry));
    }
    if found.is_empty() {
        return Err(wrong(format!("no tensors in it; {}", advice(path))));
    }
    Ok(found)
}

/// What to do with a file that cannot be read safely.
fn advice(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "if you trust it, convert it where Python runs: python -c \"import torch, safetensors.torch as s; \
         s.save_file({{k: v.contiguous() for k, v in torch.load('{name}').items()}}, 'model.safetensors')\""
    )
}

/// Tensors of the dictionary, or of its `state_dict`, as trainers save it.
fn collect(top: &Value, into: &mut BTreeMap<String, Rc<View>>) {
    let Value::Dict(pairs) = top else { return };
    for (key, value) in pairs.borrow().iter() {
        match (key, value) {
            (Value::Text(name), Value::Tensor(view)) => {
                let name = name.strip_prefix("module.").unwrap_or(name);
                into.insert(name.to_owned(), view.clone());
            }
            (Value::Text(name), Value::Dict(_)) if matches!(&**name, "state_dict" | "model") => {
                collect(value, into);
            }
            _ => {}
        }
    }
}

fn place(
    view: &View,
    storages: &HashMap<String, (usize, usize)>,
    file_len: usize,
    file: usize,
) -> Result<Entry, String> {
    let (start, bytes) = *storages.get(&view.storage.key).ok_or("its storage is not in the archive")?;
    let size = view.storage.kind.elt_size_in_bytes();
    let (mut last, mut contiguous, mut expected) = (view.offset, true, 1i64);
    let empty = view.shape.contains(&0);
    for (n, stride) in view.shape.iter().zip(&view.strides).rev() {
        if *n < 0 || *stride < 0 {
            return Err(format!("shape {:?} with strides {:?}", view.shape, view.strides));
        }
        contiguous &= *n <= 1 || *stride == expected;
        expected = expected.saturating_mul((*n).max(1));
        last = last.saturating_add((n - 1).max(0).saturating_mul(*stride));
    }
    let end = (last as u64).saturating_add(1).saturating_mul(size as u64);
    if view.offset < 0 || (!empty && end > bytes as u64) || start.saturating_add(bytes) > file_len {
        return Err(format!(
            "{:?} of {:?} needs {end} bytes, its storage has {bytes}",
            view.shape, view.storage.kind
        ));
    }
    if view.storage.elements.saturating_mul(size as i64) > bytes as i64 {
        return Err(format!("a storage of {} elements in {bytes} bytes", view.storage.elements));
    }
    let skip = view.offset as usize * size;
    let used = if empty { 0 } else { end as usize - skip };
    let whole = if contiguous { None } else { Some(view.strides.clone()) };
    Ok(Entry {
        file,
        kind: view.storage.kind,
        shape: view.shape.clone(),
        strides: whole,
        start: start + skip,
        len: used,
    })
}

struct Machine<'a> {
    code: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
}

impl<'a> Machine<'a> {
    fn new(code: &'a [u8]) -> Self {
        Self { code, at: 0, stack: Vec::new(), memo: HashMap::new() }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let bytes = self.code.get(self.at..self.at.saturating_add(n)).ok_or("data.pkl is cut short")?;
        self.at += n;
        Ok(bytes)
    }

    fn number(&mut self, n: usize) -> Result<u64, String> {
        Ok(self.take(n)?.iter().rev().fold(0u64, |v, b| (v << 8) | u64::from(*b)))
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.code[self.at..];
        let n = rest.iter().position(|b| *b == b'\n').ok_or("data.pkl is cut short")?;
        let text = String::from_utf8_lossy(&rest[..n]).into_owned();
        self.at += n + 1;
        Ok(text)
    }

    fn text(&mut self, n: usize) -> Result<(), String> {
        let text: Rc<str> = String::from_utf8_lossy(self.take(n)?).into();
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(|| "data.pkl takes from an empty stack".to_owned())
    }

    fn top(&mut self) -> Result<&Value, String> {
        self.stack.last().ok_or_else(|| "data.pkl looks at an empty stack".to_owned())
    }

    /// Everything above the last mark.
    fn marked(&mut self) -> Result<Vec<Value>, String> {
        let mark =
            self.stack.iter().rposition(|v| matches!(v, Value::Mark)).ok_or("data.pkl lacks a mark")?;
        let values = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(values)
    }

    fn tuple(&mut self, n: usize) -> Result<(), String> {
        let at = self.stack.len().checked_sub(n).ok_or("data.pkl takes from an empty stack")?;
        let values = self.stack.split_off(at);
        self.stack.push(Value::Tuple(Rc::new(values)));
        Ok(())
    }

    fn set(&mut self, pairs: Vec<Value>) -> Result<(), String> {
        if let Value::Dict(dict) = self.top()? {
            let mut dict = dict.borrow_mut();
            let mut pairs = pairs.into_iter();
            while let (Some(key), Some(value)) = (pairs.next(), pairs.next()) {
                dict.push((key, value));
            }
        }
        Ok(())
    }

    fn append(&mut self, values: Vec<Value>) -> Result<(), String> {
        if let Value::List(list) = self.top()? {
            list.borrow_mut().extend(values);
        }
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), String> {
        let full = format!("{module}.{name}");
        let known = full == "collections.OrderedDict"
            || full == "torch._utils._rebuild_tensor_v2"
            || full == "torch._utils._rebuild_parameter"
            || full == "torch.Size"
            || (module == "torch" && storage_kind(name).is_some());
        if !known {
            return Err(format!("it asks to run {full}, which no file of tensors needs, so it is refused"));
        }
        self.stack.push(Value::Global(full.into()));
        Ok(())
    }

    fn run(mut self) -> Result<Value, String> {
        loop {
            let op = self.take(1)?[0];
            match op {
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'.' => return self.pop(),
                b'(' => self.stack.push(Value::Mark),
                b'}' => self.stack.push(Value::Dict(Rc::default())),
                b']' => self.stack.push(Value::List(Rc::default())),
                b')' => self.stack.push(Value::Tuple(Rc::default())),
                b'N' | 0x88 | 0x89 => self.stack.push(Value::Other),
                b'G' => {
                    self.take(8)?;
                    self.stack.push(Value::Other);
                }
                b'K' => {
                    let v = self.number(1)?;
                    self.stack.push(Value::Int(v as i64));
                }
                b'M' => {
                    let v = self.number(2)?;
                    self.stack.push(Value::Int(v as i64));
                }
                b'J' => {
                    let v = self.number(4)? as u32 as i32;
                    self.stack.push(Value::Int(i64::from(v)));
                }
                0x8a => {
                    let n = self.number(1)? as usize;
                    let bytes = self.take(n)?;
                    if n > 8 {
                        return Err("data.pkl has an integer of more than 64 bits".into());
                    }
                    let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
                    let mut all = [fill; 8];
                    all[..n].copy_from_slice(bytes);
                    self.stack.push(Value::Int(i64::from_le_bytes(all)));
                }
                b'X' => {
                    let n = self.number(4)? as usize;
                    self.text(n)?;
                }
                0x8c | b'U' => {
                    let n = self.number(1)? as usize;
                    self.text(n)?;
                }
                0x8d => {
                    let n = self.number(8)? as usize;
                    self.text(n)?;
                }
                b'q' => {
                    let key = self.number(1)? as u32;
                    let value = self.top()?.clone();
                    self.memo.insert(key, value);
                }
                b'r' => {
                    let key = self.number(4)? as u32;
                    let value = self.top()?.clone();
                    self.memo.insert(key, value);
                }
                0x94 => {
                    let key = self.memo.len() as u32;
                    let value = self.top()?.clone();
                    self.memo.insert(key, value);
                }
                b'h' | b'j' => {
                    let key = self.number(if op == b'h' { 1 } else { 4 })? as u32;
                    let value = self.memo.get(&key).cloned().ok_or("data.pkl recalls what it never kept")?;
                    self.stack.push(value);
                }
                b't' => {
                    let values = self.marked()?;
                    self.stack.push(Value::Tuple(Rc::new(values)));
                }
                0x85 => self.tuple(1)?,
                0x86 => self.tuple(2)?,
                0x87 => self.tuple(3)?,
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set(vec![key, value])?;
                }
                b'u' => {
                    let pairs = self.marked()?;
                    self.set(pairs)?;
                }
                b'a' => {
                    let value = self.pop()?;
                    self.append(vec![value])?;
                }
                b'e' => {
                    let values = self.marked()?;
                    self.append(values)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.global(&module, &name)?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (Value::Text(module), Value::Text(name)) = (module, name) else {
                        return Err("data.pkl names a global by something else than text".into());
                    };
                    self.global(&module, &name)?;
                }
                b'Q' => {
                    let id = self.pop()?;
                    self.stack.push(storage(&id)?);
                }
                b'R' => {
                    let (arguments, function) = (self.pop()?, self.pop()?);
                    self.stack.push(call(&function, &arguments)?);
                }
                b'b' => {
                    // The state of an object: ours have none.
                    self.pop()?;
                }
                other => {
                    return Err(format!(
                        "data.pkl has instruction {other:#04x}, which no file of tensors needs"
                    ));
                }
            }
        }
    }
}

fn storage_kind(name: &str) -> Option<Kind> {
    Some(match name {
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
    })
}

/// `("storage", torch.FloatStorage, key, device, elements)`.
fn storage(id: &Value) -> Result<Value, String> {
    if let Value::Tuple(parts) = id
        && let [_, Value::Global(class), Value::Text(key), _, Value::Int(elements)] = parts.as_slice()
        && let Some(kind) = class.strip_prefix("torch.").and_then(storage_kind)
    {
        return Ok(Value::Storage(Rc::new(Storage { kind, key: key.to_string(), elements: *elements })));
    }
    Err("data.pkl refers to something else than a storage of numbers".into())
}

fn call(function: &Value, arguments: &Value) -> Result<Value, String> {
    let (Value::Global(name), Value::Tuple(arguments)) = (function, arguments) else {
        return Err("data.pkl calls something that is no function".into());
    };
    let integers = |v: &Value| match v {
        Value::Tuple(all) => all
            .iter()
            .map(|v| if let Value::Int(i) = v { Some(*i) } else { None })
            .collect::<Option<Vec<i64>>>(),
        _ => None,
    };
    match &**name {
        "collections.OrderedDict" => Ok(Value::Dict(Rc::default())),
        "torch._utils._rebuild_tensor_v2" => {
            if let [Value::Storage(storage), Value::Int(offset), shape, strides, ..] = arguments.as_slice()
                && let (Some(shape), Some(strides)) = (integers(shape), integers(strides))
                && shape.len() == strides.len()
            {
                let view = View { storage: storage.clone(), offset: *offset, shape, strides };
                return Ok(Value::Tensor(Rc::new(view)));
            }
            Err("data.pkl describes a tensor in a form that is not PyTorch's".into())
        }
        "torch._utils._rebuild_parameter" => match arguments.first() {
            Some(Value::Tensor(view)) => Ok(Value::Tensor(view.clone())),
            _ => Err("data.pkl has a parameter without a tensor".into()),
        },
        "torch.Size" => Ok(arguments.first().cloned().unwrap_or(Value::Other)),
        other => Err(format!("it asks to run {other}, which no file of tensors needs, so it is refused")),
    }
}
