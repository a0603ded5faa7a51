#![no_main]
//! SentencePiece models, and the tokenizers made of them.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| unisono_encoders::fuzzing::sentencepiece(bytes));
