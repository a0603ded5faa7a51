//! The stack machine that a pickle is a program for, as far as tensors need it ([`Value`]): letting all go is a loop.

use super::values::{Global, Made, Stop, Storage, Value, View};
use std::collections::HashMap;
use unisono_files::Left;

/// More axes than any tensor of a checkpoint has.
const AXES: usize = 8;

/// A program that runs.
#[derive(Debug)]
pub(super) struct Machine<'a, 'p> {
    code: &'a [u8],
    left: Left<'p>,
    stack: Vec<Value<'a>>,
    memo: HashMap<u32, Value<'a>>,
    made: Made<'a>,
}

const SHORT: &str = "data.pkl is cut short";
const EMPTY: &str = "data.pkl takes from an empty stack";

impl<'a, 'p> Machine<'a, 'p> {
    pub(super) fn new(code: &'a [u8], left: Left<'p>) -> Self {
        Self { code, left, stack: Vec::new(), memo: HashMap::new(), made: Made::default() }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Stop> {
        let (part, rest) = self.code.split_at_checked(n).ok_or(SHORT)?;
        self.code = rest;
        Ok(part)
    }

    /// An unsigned number of so many bytes.
    fn number(&mut self, n: usize) -> Result<u64, Stop> {
        Ok(self.take(n)?.iter().rev().fold(0, |v, b| (v << 8) | u64::from(*b)))
    }

    fn line(&mut self) -> Result<&'a str, Stop> {
        let n = self.code.iter().position(|b| *b == b'\n').ok_or(SHORT)?;
        let line = self.take(n + 1)?;
        Ok(std::str::from_utf8(&line[..n]).map_err(|_| "data.pkl names a global in no UTF-8")?)
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), Stop> {
        self.left.values(1)?;
        self.stack.push(value);
        Ok(())
    }

    /// A text of which `n` bytes say how long it is.
    fn text(&mut self, n: usize) -> Result<(), Stop> {
        let length = usize::try_from(self.number(n)?).map_err(|_| SHORT)?;
        let text = std::str::from_utf8(self.take(length)?);
        self.push(text.map_or(Value::Other, Value::Text))
    }

    fn integer(&mut self, n: usize) -> Result<(), Stop> {
        let bytes = self.take(n)?;
        if n > 8 {
            return Err("data.pkl has an integer of more than 64 bits".into());
        }
        let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
        let mut all = [fill; 8];
        all[..n].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(all)))
    }

    fn pop(&mut self) -> Result<Value<'a>, Stop> {
        Ok(self.stack.pop().ok_or(EMPTY)?)
    }

    /// Takes the last mark out; where the values above it begin.
    fn unmarked(&mut self) -> Result<usize, Stop> {
        let mark =
            self.stack.iter().rposition(|v| matches!(v, Value::Mark)).ok_or("data.pkl lacks a mark")?;
        self.stack.remove(mark);
        Ok(mark)
    }

    fn tuple(&mut self, from: usize) -> Result<(), Stop> {
        let values = self.stack.split_off(from);
        self.made.tuples.push(values);
        self.push(Value::Tuple(self.made.tuples.len() - 1))
    }

    fn last_as_tuple(&mut self, n: usize) -> Result<(), Stop> {
        let from = self.stack.len().checked_sub(n).ok_or(EMPTY)?;
        self.tuple(from)
    }

    fn dict(&mut self) -> Result<(), Stop> {
        self.made.dicts.push(Vec::new());
        self.push(Value::Dict(self.made.dicts.len() - 1))
    }

    /// Pairs from the top of the stack into the dictionary below them.
    fn set(&mut self, from: usize) -> Result<(), Stop> {
        let pairs = self.stack.split_off(from);
        if let Value::Dict(dict) = self.stack.last().ok_or(EMPTY)? {
            self.made.dicts[*dict].extend(pairs.as_chunks::<2>().0.iter().map(|[key, value]| (*key, *value)));
        }
        Ok(())
    }

    fn remember(&mut self, key: u32) -> Result<(), Stop> {
        self.left.values(1)?;
        let value = *self.stack.last().ok_or(EMPTY)?;
        self.memo.insert(key, value);
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), Stop> {
        let Some(global) = Global::find(module, name) else {
            let message =
                format!("it asks to run {module}.{name}, which no file of tensors needs, so it is refused");
            return Err(Stop::Refused(message));
        };
        self.push(Value::Global(global))
    }

    fn list(&mut self) -> Result<(), Stop> {
        self.made.lists.push(Vec::new());
        self.push(Value::List(self.made.lists.len() - 1))
    }

    /// Values from the top of the stack into the list below them.
    fn append(&mut self, from: usize) -> Result<(), Stop> {
        let values = self.stack.split_off(from);
        if let Value::List(list) = self.stack.last().ok_or(EMPTY)? {
            self.made.lists[*list].extend(values);
        }
        Ok(())
    }

    /// Runs it to its end.
    pub(super) fn run(self) -> Result<Made<'a>, Stop> {
        self.run_on().map(|(made, _)| made)
    }

    /// Runs it to its end; what follows it comes with what it made.
    pub(super) fn run_on(mut self) -> Result<(Made<'a>, &'a [u8]), Stop> {
        loop {
            let op = self.take(1)?[0];
            match op {
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'.' => {
                    self.made.top = Some(self.pop()?);
                    return Ok((self.made, self.code));
                }
                b'(' => self.push(Value::Mark)?,
                b'}' => self.dict()?,
                b']' => self.list()?,
                b')' => self.tuple(self.stack.len())?,
                b'N' => self.push(Value::Other)?,
                0x88 | 0x89 => self.push(Value::Bool(op == 0x88))?,
                b'G' => {
                    self.take(8)?;
                    self.push(Value::Other)?;
                }
                b'K' | b'M' => {
                    let value = self.number(if op == b'K' { 1 } else { 2 })?;
                    self.push(Value::Int(value as i64))?;
                }
                b'J' => self.integer(4)?,
                0x8a => {
                    let n = self.number(1)? as usize;
                    self.integer(n)?;
                }
                b'X' => self.text(4)?,
                0x8c | b'U' => self.text(1)?,
                0x8d => self.text(8)?,
                b'q' | b'r' => {
                    let key = self.number(if op == b'q' { 1 } else { 4 })? as u32;
                    self.remember(key)?;
                }
                0x94 => self.remember(self.memo.len() as u32)?,
                b'h' | b'j' => {
                    let key = self.number(if op == b'h' { 1 } else { 4 })? as u32;
                    let value = *self.memo.get(&key).ok_or("data.pkl recalls what it never kept")?;
                    self.push(value)?;
                }
                b't' => {
                    let from = self.unmarked()?;
                    self.tuple(from)?;
                }
                0x85..=0x87 => self.last_as_tuple(usize::from(op - 0x84))?,
                b's' => {
                    let from = self.stack.len().checked_sub(2).ok_or(EMPTY)?;
                    self.set(from)?;
                }
                b'u' => {
                    let from = self.unmarked()?;
                    self.set(from)?;
                }
                b'a' => {
                    let from = self.stack.len().checked_sub(1).ok_or(EMPTY)?;
                    self.append(from)?;
                }
                b'e' => {
                    let from = self.unmarked()?;
                    self.append(from)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.global(module, name)?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (Value::Text(module), Value::Text(name)) = (module, name) else {
                        return Err("data.pkl names a global by something else than text".into());
                    };
                    self.global(module, name)?;
                }
                b'Q' => {
                    let id = self.pop()?;
                    let storage = self.storage(id)?;
                    self.made.storages.push(storage);
                    self.push(Value::Storage(self.made.storages.len() - 1))?;
                }
                b'R' => {
                    let (arguments, function) = (self.pop()?, self.pop()?);
                    self.call(function, arguments)?;
                }
                // The state of an object: ours have none.
                b'b' => drop(self.pop()?),
                other => {
                    let message =
                        format!("data.pkl has instruction {other:#04x}, which no file of tensors needs");
                    return Err(Stop::Refused(message));
                }
            }
        }
    }

    /// `("storage", torch.FloatStorage, key, device, elements)`; before version 1.6 a `None` stands behind, in place of a part of the storage.
    fn storage(&self, id: Value<'a>) -> Result<Storage<'a>, Stop> {
        if let Value::Tuple(parts) = id
            && let [_, Value::Global(Global::Storage(kind)), Value::Text(key), _, Value::Int(elements)]
            | [
                _,
                Value::Global(Global::Storage(kind)),
                Value::Text(key),
                _,
                Value::Int(elements),
                Value::Other,
            ] = self.made.tuples[parts].as_slice()
        {
            return Ok(Storage { kind: *kind, key, elements: *elements });
        }
        Err("data.pkl refers to something else than a storage of numbers".into())
    }

    fn call(&mut self, function: Value<'a>, arguments: Value<'a>) -> Result<(), Stop> {
        let (Value::Global(function), Value::Tuple(arguments)) = (function, arguments) else {
            return Err("data.pkl calls something that is no function".into());
        };
        let arguments = self.made.tuples[arguments].as_slice();
        let value = match function {
            Global::OrderedDict => return self.dict(),
            Global::RebuildTensor => {
                let [Value::Storage(storage), Value::Int(offset), shape, strides, ..] = arguments else {
                    return Err("data.pkl describes a tensor in a form that is not PyTorch's".into());
                };
                let (shape, strides) = (self.integers(*shape)?, self.integers(*strides)?);
                if shape.len() != strides.len() {
                    return Err("data.pkl has a tensor with more strides or fewer than axes".into());
                }
                self.made.tensors.push(View { storage: *storage, offset: *offset, shape, strides });
                Value::Tensor(self.made.tensors.len() - 1)
            }
            Global::RebuildParameter => match arguments.first() {
                Some(Value::Tensor(view)) => Value::Tensor(*view),
                _ => return Err("data.pkl has a parameter without a tensor".into()),
            },
            Global::Size => arguments.first().copied().unwrap_or(Value::Other),
            Global::Storage(_) => return Err("data.pkl calls a kind of storage".into()),
        };
        self.push(value)
    }

    /// A shape or strides.
    fn integers(&self, value: Value<'a>) -> Result<Vec<i64>, Stop> {
        let Value::Tuple(values) = value else {
            return Err("data.pkl has a tensor whose shape is no tuple".into());
        };
        let values = &self.made.tuples[values];
        if values.len() > AXES {
            return Err(Stop::Refused(format!(
                "data.pkl has a tensor of {} axes, at most {AXES} are read",
                values.len()
            )));
        }
        let all = values.iter().map(|v| if let Value::Int(i) = v { Some(*i) } else { None });
        Ok(all.collect::<Option<Vec<i64>>>().ok_or("data.pkl has a shape of something else than integers")?)
    }
}
