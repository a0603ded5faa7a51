//! An Arrow schema as columns, each with the way down to its values.

use super::flat::Table;
use crate::columnar::{Kind, Leaf};

/// Most columns, and how deep they may lie.
const COLUMNS: usize = 1 << 14;
const DEPTH: usize = 32;

/// How values of a column lie in its buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Numbers of so many bytes.
    Int(usize),
    Float(usize),
    Bits,
    /// Bytes between two offsets of 4 or 8 bytes.
    Bytes(usize),
    /// So many bytes each.
    Fixed(usize),
    /// Nothing is read of them.
    None,
}

/// A step down; each but the fixed ones has a buffer that says what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Struct,
    /// Elements between two offsets of 4 or 8 bytes.
    List(usize),
    /// So many elements each.
    Fixed(usize),
}

/// A column: its steps, each with the number of its node and first buffer, and then its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) steps: Vec<(Step, usize, usize)>,
    pub(super) form: Form,
    pub(super) node: usize,
    pub(super) buffer: usize,
}

/// All columns, and how many nodes and buffers a batch of them has.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub(super) leaves: Vec<Leaf>,
    pub(super) ways: Vec<Way>,
    pub(super) nodes: usize,
    pub(super) buffers: usize,
    pub(super) features: Option<String>,
}

/// What stands above a field.
#[derive(Debug, Clone, Default)]
struct Above {
    name: String,
    /// What comes is a list's element, whose name nobody gave.
    unnamed: bool,
    listed: bool,
    level: u8,
    exists: u8,
    steps: Vec<(Step, usize, usize)>,
}

const BROKEN: &str = "has a broken schema";

impl Schema {
    /// From the schema's message.
    ///
    /// # Errors
    /// A form that is not read, too many columns, nonsense.
    pub(super) fn read(table: &Table) -> Result<Self, String> {
        if table.i16(0).unwrap_or(0) != 0 {
            return Err("has its numbers in big-endian order, which is not read".into());
        }
        let mut schema = Self::default();
        for field in table.tables(1).ok_or(BROKEN)? {
            schema.walk(&field, &Above::default(), 0)?;
        }
        for pair in table.tables(2).unwrap_or_default() {
            if pair.text(0) == Some("huggingface") {
                schema.features = pair.text(1).map(str::to_owned);
            }
        }
        Ok(schema)
    }

    fn walk(&mut self, field: &Table, above: &Above, depth: usize) -> Result<(), String> {
        if depth > DEPTH || self.leaves.len() >= COLUMNS || self.nodes > 4 * COLUMNS {
            return Err(format!("has more than {COLUMNS} columns, or lies more than {DEPTH} levels deep"));
        }
        let mut here = Above { unnamed: false, ..above.clone() };
        if !above.unnamed {
            if !here.name.is_empty() {
                here.name.push('.');
            }
            here.name.push_str(field.text(0).ok_or(BROKEN)?);
        }
        let (node, buffer) = (self.nodes, self.buffers);
        self.nodes += 1;
        let kind = field.u8(2);
        let of = field.table(3);
        let int = |number| of.map_or(0, |of| of.i32(number));
        let size = |n: i32| usize::try_from(n).map_err(|_| BROKEN.to_owned());
        // Of a dictionary's column the batch holds numbers.
        let step = match kind {
            _ if field.has(4) => None,
            13 => Some(Step::Struct),
            12 => Some(Step::List(4)),
            21 => Some(Step::List(8)),
            16 => Some(Step::Fixed(size(int(0))?)),
            17 => Some(Step::List(4)),
            _ => None,
        };
        if let Some(step) = step {
            self.buffers += match step {
                Step::Struct | Step::Fixed(_) => 1,
                Step::List(_) => 2,
            };
            here.steps.push((step, node, buffer));
            here.level += 1;
            if step != Step::Struct {
                here.level += 1;
                here.listed = true;
                here.exists = here.level;
                here.unnamed = true;
            }
            return field
                .tables(5)
                .ok_or(BROKEN)?
                .iter()
                .try_for_each(|child| self.walk(child, &here, depth + 1));
        }
        let (kind, form, buffers) = self.form(field, kind)?;
        self.buffers += buffers;
        self.leaves.push(Leaf {
            name: here.name,
            kind,
            listed: here.listed,
            exists: here.exists,
            parent: above.level,
            full: here.level + 1,
        });
        self.ways.push(Way { steps: here.steps, form, node, buffer });
        Ok(())
    }

    /// A column without columns below it: what it holds, how, in how many buffers.
    fn form(&self, field: &Table, kind: u8) -> Result<(Kind, Form, usize), String> {
        let of = field.table(3);
        let int = |number| of.map_or(0, |of| of.i32(number));
        let short = |number| of.and_then(|of| of.i16(number));
        let whole = |bits: i32| match bits {
            8 | 16 | 32 | 64 => Form::Int(bits as usize / 8),
            _ => Form::None,
        };
        Ok(match kind {
            _ if field.has(4) => (Kind::Other, Form::None, 2),
            1 => (Kind::Other, Form::None, 0),
            2 if of.is_some_and(|of| of.u8(1) != 0) => (Kind::Int, whole(int(0)), 2),
            2 => (Kind::Natural, whole(int(0)), 2),
            3 => match short(0) {
                Some(1) => (Kind::Float, Form::Float(4), 2),
                Some(2) => (Kind::Float, Form::Float(8), 2),
                _ => (Kind::Other, Form::None, 2),
            },
            4 => (Kind::Bytes, Form::Bytes(4), 3),
            5 => (Kind::Text, Form::Bytes(4), 3),
            19 => (Kind::Bytes, Form::Bytes(8), 3),
            20 => (Kind::Text, Form::Bytes(8), 3),
            6 => (Kind::Bool, Form::Bits, 2),
            // A date's default is milliseconds.
            8 => (Kind::Int, Form::Int(if short(0) == Some(0) { 4 } else { 8 }), 2),
            10 => (Kind::Int, Form::Int(8), 2),
            15 => {
                let size = usize::try_from(int(0)).map_err(|_| BROKEN)?;
                (Kind::Bytes, Form::Fixed(size), 2)
            }
            7 | 9 | 11 | 18 => (Kind::Other, Form::None, 2),
            other => {
                let name = crate::plain::quoted(field.text(0).unwrap_or_default());
                return Err(format!(
                    "has its column {name} in a form (Arrow's type {other}) that is not read: cast it to plain binary, text or numbers"
                ));
            }
        })
    }
}
