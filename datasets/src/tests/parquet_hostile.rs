use super::tests::fixture;
use crate::{SourceConfig, open};
use proptest::prelude::*;
use std::fs;

/// A fixture with another footer.
fn with_footer(
    change: impl Fn(::parquet::file::metadata::ParquetMetaData) -> ::parquet::file::metadata::ParquetMetaData,
) -> String {
    use ::parquet::file::metadata::{ParquetMetaDataReader, ParquetMetaDataWriter};
    let bytes = fs::read(fixture("none.parquet")).unwrap();
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
    let end = bytes.len() - 8 - length;
    let said = ParquetMetaDataReader::decode_metadata(&bytes[end..bytes.len() - 8]).unwrap();
    let mut new = bytes[..end].to_vec();
    let mut footer = Vec::new();
    ParquetMetaDataWriter::new(&mut footer, &change(said)).finish().unwrap();
    new.extend_from_slice(&footer);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    fs::write(&path, new).unwrap();
    match open(&SourceConfig::new(&path)) {
        Err(e) => e.to_string(),
        Ok(source) => (0..source.len()).find_map(|i| source.record(i).err()).unwrap().to_string(),
    }
}

#[test]
fn numbers_that_lie_are_told() {
    let groups = |change: &dyn Fn(
        ::parquet::file::metadata::RowGroupMetaData,
    ) -> ::parquet::file::metadata::RowGroupMetaData| {
        with_footer(|said| {
            let new = said.row_groups().iter().cloned().map(change).collect();
            said.into_builder().set_row_groups(new).build()
        })
    };
    let rows = |n: i64| groups(&|g| g.into_builder().set_num_rows(n).build().unwrap());
    assert!(
        rows(1 << 40).contains("row group 0 says that it has 1099511627776 rows, the most are 268435456")
    );
    assert!(rows(-1).contains("row group 0 says that it has -1 rows"));
    assert!(rows(12).contains(r#"says that it has 12 rows, its column "img" has 13"#));
    let column = |change: &dyn Fn(
        ::parquet::file::metadata::ColumnChunkMetaDataBuilder,
    ) -> ::parquet::file::metadata::ColumnChunkMetaDataBuilder| {
        groups(&|g| {
            let columns =
                g.columns().iter().cloned().map(|c| change(c.into_builder()).build().unwrap()).collect();
            g.into_builder().set_column_metadata(columns).build().unwrap()
        })
    };
    assert!(
        column(&|c| c.set_total_compressed_size(1 << 40)).contains("has 1099511627776 bytes from byte 4 on")
    );
    assert!(column(&|c| c.set_total_compressed_size(20)).contains("a page goes on behind its column's end"));
    assert!(column(&|c| c.set_file_path("../../x".into())).contains("in another file, which is not read"));
    assert!(
        column(&|c| c.set_dictionary_page_offset(None).set_data_page_offset(1 << 50))
            .contains("from byte 1125899906842624 on")
    );
    assert!(with_footer(|said| said).contains("row 16"), "the only row with nothing in it");
    // All of a group that lies alike: its pages say otherwise.
    let all = |n: i64| {
        with_footer(|said| {
            let mut groups = said.row_groups().to_vec();
            let columns = groups[0].columns().iter().cloned();
            let columns = columns.map(|c| c.into_builder().set_num_values(n).build().unwrap()).collect();
            let first = groups[0].clone().into_builder().set_num_rows(n).set_column_metadata(columns);
            groups[0] = first.build().unwrap();
            let (old, rows) = (said.file_metadata(), groups.iter().map(|g| g.num_rows()).sum());
            let (by, pairs) = (old.created_by().map(str::to_owned), old.key_value_metadata().cloned());
            let (schema, orders) = (old.schema_descr_ptr(), old.column_orders().cloned());
            let file =
                ::parquet::file::metadata::FileMetaData::new(old.version(), rows, by, pairs, schema, orders);
            ::parquet::file::metadata::ParquetMetaData::new(file, groups)
        })
    };
    for n in [12, 14] {
        let said = all(n);
        assert!(said.contains(&format!("hold 13 rows, their row group says {n}: it is damaged")), "{said}");
    }
    // Sizes that nothing is taken from are hints, however they lie.
    for lie in [i64::MIN, -1, 0, i64::MAX] {
        let said = groups(&|g| {
            let columns = g.columns().iter().cloned();
            let columns =
                columns.map(|c| c.into_builder().set_total_uncompressed_size(lie).build().unwrap()).collect();
            g.into_builder().set_total_byte_size(lie).set_column_metadata(columns).build().unwrap()
        });
        assert!(said.contains("row 16"), "{said}");
    }
}

/// A source may allow more or less than usual; whoever opens a table again by a line keeps to that.
#[test]
fn bounds_of_pages_and_footers_are_the_sources_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    fs::copy(fixture("images.parquet"), &path).unwrap();
    let of = |max_page, max_footer| {
        let config = SourceConfig { max_page, max_footer, ..SourceConfig::new(&path) };
        open(&config).and_then(|source| {
            let blob = source.record(0)?.image.clone().unwrap();
            // As a list of items has it.
            let named = serde_json::from_str(&serde_json::to_string(&blob).unwrap()).unwrap();
            let read = crate::reopened(&named).map(|blob| blob.open().and_then(|mut opened| opened.head(8)));
            read.map(|head| head.map_err(|e| e.to_string()))
        })
    };
    assert_eq!(of(None, None).unwrap().unwrap().len(), 8);
    let said = of(None, Some(100)).unwrap_err().to_string();
    assert!(
        said.contains("has a footer of ") && said.ends_with("larger `max_footer` (`--max-footer`)"),
        "{said}"
    );
    let said = of(Some(50), None).map_or_else(|e| e.to_string(), |head| head.unwrap_err());
    assert!(
        said.contains(" bytes, the most are 50") && said.contains("larger `max_page` (`--max-page`)"),
        "{said}"
    );
    assert_eq!(of(Some(1 << 40), Some(1 << 40)).unwrap().unwrap().len(), 8);
}

#[test]
fn files_that_are_cut_or_none_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    let bytes = fs::read(fixture("images.parquet")).unwrap();
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        let said = open(&SourceConfig::new(&path)).unwrap_err().to_string();
        assert!(said.contains("t.parquet: ") && said.lines().count() == 1, "{said}");
    }
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        open(&SourceConfig::new(&path)).unwrap_err().to_string()
    };
    assert!(
        refused(b"PAR1\0\0\0\0\xff\xff\xff\xffPAR1").contains("says that its footer has 4294967295 bytes")
    );
    assert!(refused(b"PAR1\0\0\0\0\0\0\0\0PARE").contains("is encrypted"));
    let footer = |thrift: &[u8]| {
        let length = (thrift.len() as u32).to_le_bytes();
        refused(&[b"PAR1", thrift, &length, b"PAR1"].concat())
    };
    assert!(footer(&[0x1c; 5000]).contains("levels of nesting"));
    assert!(footer(&[0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 7]).contains("goes on behind its end"));
    // A schema of groups within groups: {4: name, 5: number of children}.
    let group = [0x48, 1, b'a', 0x15, 2, 0];
    let mut deep = vec![0x29, 0xfc, 100];
    (0..100).for_each(|_| deep.extend(group));
    assert!(footer(&deep).contains("nests columns more than 32 levels deep"));
    let wide = [0x29, 0x1c, 0x48, 1, b'a', 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0];
    assert!(footer(&wide).contains("says that a column has 2147483647 below it, of 1 in all"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is broken in a file, it costs that file.
    #[test]
    fn broken_bytes_are_errors(
        form in prop::sample::select(vec!["none", "snappy", "gzip", "zstd", "lz4", "pages2", "pages2-plain", "delta", "images", "nested"]),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = fs::read(fixture(&format!("{form}.parquet"))).unwrap();
        for (at, to) in flips {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        let dir = tempfile::tempdir().unwrap();
        crate::fuzzing::parquet(dir.path(), &bytes);
    }

    #[test]
    fn broken_bytes_of_arrow_are_errors(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = fs::read(fixture("saved/data-00000-of-00002.arrow")).unwrap();
        for (at, to) in flips {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        let dir = tempfile::tempdir().unwrap();
        crate::fuzzing::arrow(dir.path(), &bytes);
    }
}

/// What the fuzzer found: the `parquet` crate panics in a dictionary that is cut.
#[test]
fn a_panic_of_the_decoder_is_a_damaged_file() {
    let kept =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus-kept/parquet/dictionary");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    fs::copy(kept, &path).unwrap();
    let said = open(&SourceConfig::new(&path)).unwrap_err().to_string();
    assert!(said.contains("no reader should meet this: it is damaged"), "{said}");
}
