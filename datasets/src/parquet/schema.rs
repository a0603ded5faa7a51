//! A Parquet schema as columns.

use crate::columnar::{Kind, Leaf};
use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::schema::types::{SchemaDescriptor, Type};

/// Its columns, in the order of the file. Lists are found by what they are (a repeated field), however they are written: with their two levels,
/// with one as old writers did, or as repeated structs.
pub(super) fn leaves(schema: &SchemaDescriptor) -> Vec<Leaf> {
    let mut leaves = Vec::with_capacity(schema.num_columns());
    for field in schema.root_schema().get_fields() {
        walk(field, &Above::default(), &mut leaves);
    }
    leaves
}

/// What stands above a field.
#[derive(Debug, Clone, Default)]
struct Above {
    name: String,
    level: u8,
    listed: bool,
    exists: u8,
    /// What comes is a list's own field, whose name nobody gave.
    unnamed: bool,
}

fn walk(field: &Type, above: &Above, leaves: &mut Vec<Leaf>) {
    let info = field.get_basic_info();
    let mut here = above.clone();
    here.unnamed = false;
    if !above.unnamed {
        if !here.name.is_empty() {
            here.name.push('.');
        }
        here.name.push_str(field.name());
    }
    match info.has_repetition().then(|| info.repetition()) {
        Some(Repetition::OPTIONAL) => here.level = here.level.saturating_add(1),
        Some(Repetition::REPEATED) => {
            here.level = here.level.saturating_add(1);
            here.listed = true;
            here.exists = here.level;
        }
        _ => {}
    }
    if field.is_primitive() {
        leaves.push(Leaf {
            name: here.name,
            kind: kind(field),
            listed: here.listed,
            exists: here.exists,
            parent: above.level,
            full: here.level,
        });
        return;
    }
    let is_list = |t: &Type| {
        let info = t.get_basic_info();
        info.converted_type() == ConvertedType::LIST || info.logical_type_ref() == Some(&LogicalType::List)
    };
    for child in field.get_fields() {
        let repeated = child.get_basic_info().has_repetition()
            && child.get_basic_info().repetition() == Repetition::REPEATED;
        // A list's group holds a repeated group with one field (or, as old writers did, the repeated element itself): neither has a name of its own.
        let wrapper = is_list(field) && repeated;
        let element = above.unnamed && field.get_fields().len() == 1 && is_wrapper(field);
        walk(child, &Above { unnamed: wrapper || element, ..here.clone() }, leaves);
    }
}

/// The repeated group between a list and its elements; old writers put the element itself there, a struct that may have one field.
fn is_wrapper(group: &Type) -> bool {
    let info = group.get_basic_info();
    let repeated = info.has_repetition() && info.repetition() == Repetition::REPEATED;
    repeated && group.name() != "array" && !group.name().ends_with("_tuple")
}

fn kind(field: &Type) -> Kind {
    let info = field.get_basic_info();
    let (logical, converted) = (info.logical_type_ref(), info.converted_type());
    match field.get_physical_type() {
        Physical::BOOLEAN => Kind::Bool,
        Physical::INT32 | Physical::INT64 => match (logical, converted) {
            (Some(LogicalType::Decimal(_)), _) | (_, ConvertedType::DECIMAL) => Kind::Other,
            (Some(LogicalType::Integer(of)), _) if !of.is_signed => Kind::Natural,
            (_, ConvertedType::UINT_32 | ConvertedType::UINT_64) => Kind::Natural,
            _ => Kind::Int,
        },
        Physical::FLOAT | Physical::DOUBLE => Kind::Float,
        Physical::BYTE_ARRAY => match (logical, converted) {
            (Some(LogicalType::String | LogicalType::Json | LogicalType::Enum), _)
            | (_, ConvertedType::UTF8 | ConvertedType::JSON | ConvertedType::ENUM) => Kind::Text,
            (None, ConvertedType::NONE) => Kind::Bytes,
            _ => Kind::Other,
        },
        Physical::FIXED_LEN_BYTE_ARRAY if logical.is_none() && converted == ConvertedType::NONE => {
            Kind::Bytes
        }
        Physical::FIXED_LEN_BYTE_ARRAY | Physical::INT96 => Kind::Other,
    }
}
