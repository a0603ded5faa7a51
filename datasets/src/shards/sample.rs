//! From a sample's members to a record.

use super::fields::{Fields, Role};
use super::row::{Part, Row};
use super::values::{Json, Sampled, caption};
use crate::Record;
use std::path::Path;
use unisono_files::Budget;
use unisono_media::Blob;

/// Most bytes of members that are read into memory to see a record: captions and fields, never media.
pub(super) const READ: u64 = Budget::LINE.bytes;

/// The record of a sample in the tar file `file`, its id the sample's key or what our own shards say; `read` gives the bytes of a member.
///
/// # Errors
/// What is wrong with it: a sparse member, JSON that is none, a field of a wrong form, no modality.
pub(super) fn record(
    row: &Row,
    file: &Path,
    fields: &Fields,
    read: &mut dyn FnMut(&Part) -> std::io::Result<Vec<u8>>,
) -> Sampled<Record> {
    if let Some(part) = row.parts.iter().find(|p| p.sparse) {
        return Err(format!(
            "the member .{} is a sparse file, which is not read: make the archive anew without --sparse",
            part.ending
        ));
    }
    let mut left = READ;
    let mut whole = |part: &Part| -> Sampled<Vec<u8>> {
        let ending = &part.ending;
        left = left.checked_sub(part.length).ok_or_else(|| {
            format!(
                "captions and fields have more than {READ} bytes; the member .{ending} has {}",
                part.length
            )
        })?;
        read(part).map_err(|e| format!("the member .{ending} cannot be read: {e}"))
    };
    let mut roles: Vec<(Role, &Part)> = row.parts.iter().map(|p| (fields.role(&p.ending), p)).collect();
    let mut json = Json::default();
    for (_, part) in roles.iter().filter(|(role, _)| *role == Role::Json) {
        json.read(&whole(part)?, &part.ending, file)?;
    }
    // What our own shards carry beside the record's media.
    if fields.own {
        let beside = json.members()?;
        roles
            .iter_mut()
            .filter(|(_, p)| beside.contains(&p.ending))
            .for_each(|(role, _)| *role = Role::Other);
    }
    let blob = |part: &Part| Blob::part(file, part.offset, part.length, &row.name(part));
    let mut record = Record::default();
    let (image, video) = (first(&roles, Role::Image, fields), first(&roles, Role::Video, fields));
    record.image = image.map(blob);
    record.video = video.map(blob);
    record.audio = numbered(&roles, Role::Audio).into_iter().map(blob).collect();
    for part in numbered(&roles, Role::Text) {
        record.text.extend(caption(&whole(part)?, &part.ending)?);
    }
    for (_, part) in roles.iter().filter(|(role, _)| *role == Role::Label) {
        let said = caption(&whole(part)?, &part.ending)?;
        record.label = record.label.or(said);
    }
    json.fill(&mut record, fields)?;
    if record.id.is_empty() {
        record.id.clone_from(&row.key);
    }
    if !record.has_modality() {
        let endings: Vec<&str> = row.parts.iter().take(8).map(|p| p.ending.as_str()).collect();
        return Err(format!(
            "expected a member or a field that is a text, an image, an audio file or a video, found members {}",
            endings.join(", ")
        ));
    }
    record.extra = json.rest(fields)?;
    // What is no field is kept by its place: nobody reads it yet.
    for (role, part) in &roles {
        let taken = match role {
            Role::Image => image == Some(part),
            Role::Video => video == Some(part),
            Role::Other => false,
            Role::Audio | Role::Text | Role::Label | Role::Json => true,
        };
        if !taken && let Ok(place) = serde_json::to_value(blob(part)) {
            record.extra.insert(part.ending.clone(), place);
        }
    }
    Ok(record)
}

/// The member that is the record's image or video.
fn first<'a>(roles: &[(Role, &'a Part)], role: Role, fields: &Fields) -> Option<&'a Part> {
    let of = roles.iter().filter(|(r, _)| *r == role).map(|(_, part)| *part);
    of.min_by_key(|part| fields.rank(role, &part.ending))
}

/// The members of a role: in the file's order, then those that are numbered (`0.txt`, `1.txt`, …, `10.txt`) by their numbers.
fn numbered<'a>(roles: &[(Role, &'a Part)], role: Role) -> Vec<&'a Part> {
    let mut of: Vec<&Part> = roles.iter().filter(|(r, _)| *r == role).map(|(_, part)| *part).collect();
    let number = |part: &Part| part.ending.split('.').next().and_then(|n| n.parse::<u64>().ok());
    of.sort_by_key(|part| number(part).map_or(0, |n| n.saturating_add(1)));
    of
}
