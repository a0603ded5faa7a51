//! A column, down to where its values lie.

/// A column without columns below it.
///
/// A row has one slot in it, or, where it lies in a list, as many as the list has elements (a list that is empty or missing: one, below
/// [`exists`](Self::exists)). How much of the way down to a value is there is a slot's level (Dremel's definition level).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// Its name; of a struct's field with that of the struct and a dot before it. Lists have no names.
    pub(crate) name: String,
    /// What its values are.
    pub(crate) kind: Kind,
    /// It lies in a list.
    pub(crate) listed: bool,
    /// The level from which there is an element of the list; 0 where there is no list.
    pub(crate) exists: u8,
    /// The level from which there is the struct that it is a field of.
    pub(crate) parent: u8,
    /// The level at which there is a value.
    pub(crate) full: u8,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Words in UTF-8.
    Text,
    /// Bytes that may be anything.
    Bytes,
    /// Whole numbers of up to 64 bits.
    Int,
    /// The same without a sign.
    Natural,
    /// Fractions of 32 or 64 bits.
    Float,
    /// Yes or no.
    Bool,
    /// Anything else, of which nothing is read.
    Other,
}

impl Kind {
    /// In a message.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Int | Self::Natural => "whole numbers",
            Self::Float => "fractions",
            Self::Bool => "booleans",
            Self::Other => "values that are not read",
        }
    }
}
