//! What a number in another library's configuration may be, by its key. Published models lie far inside; what lies outside would be refused
//! later by a key of ours, overflow, or ask for gigabytes.

use std::ops::RangeInclusive;

/// Of an integer. A key that is not listed may be anything that cannot overflow what is computed from it.
pub(super) fn integer(key: &str) -> RangeInclusive<i64> {
    match key {
        "hidden_size"
        | "dim"
        | "in_features"
        | "out_features"
        | "dimension"
        | "width"
        | "d_model"
        | "embed_dim"
        | "projection_dim"
        | "image_text_hidden_size"
        | "mit_hidden_size"
        | "head_width" => 1..=1 << 16,
        "patch_embeds_hidden_size" => 1..=1 << 14,
        "intermediate_size"
        | "hidden_dim"
        | "mit_intermediate_size"
        | "encoder_ffn_dim"
        | "decoder_ffn_dim" => 1..=1 << 20,
        "num_hidden_layers"
        | "n_layers"
        | "mit_num_hidden_layers"
        | "encoder_layers"
        | "decoder_layers"
        | "layers" => 0..=1024,
        "prompt_layers" | "depths" => 1..=1024,
        "num_attention_heads"
        | "n_heads"
        | "mit_num_attention_heads"
        | "prompt_num_attention_heads"
        | "encoder_attention_heads"
        | "decoder_attention_heads"
        | "attn_pooler_heads"
        | "heads" => 1..=1 << 12,
        "attn_pooler_queries" => 1..=1 << 16,
        "vocab_size" => 1..=1 << 24,
        "max_position_embeddings"
        | "max_source_positions"
        | "max_target_positions"
        | "context_length"
        | "max_length"
        | "max_seq_length" => 1..=1 << 20,
        // Tokens of an image: attention is over their square.
        "num_patches" | "max_num_patches" => 1..=4096,
        "min_length" | "no_repeat_ngram_size" => 0..=1 << 20,
        "num_beams" => 1..=64,
        "image_size" | "input_size" | "size" | "patch_size" | "time_stride" | "frequency_stride"
        | "patch_stride" => 1..=1 << 14,
        "spec_size" => 1..=1024,
        "window_size" => 1..=64,
        "fill_color" => 0..=255,
        "num_frames" | "num_register_tokens" => 0..=4095,
        "num_mel_bins" | "feature_size" => 1..=4096,
        "sampling_rate" => 100..=384_000,
        "chunk_length" => 1..=3600,
        "n_samples" | "nb_max_samples" => 1..=1 << 25,
        "n_fft" | "fft_window_size" | "hop_length" => 1..=1 << 16,
        "relative_attention_num_buckets" => 4..=1 << 16,
        "max_initial_timestamp_index" => 0..=1 << 20,
        // Some files say -1 for "none".
        _ if key.ends_with("_id") || key.ends_with("_ids") || key.ends_with("_tokens") => -1..=1 << 24,
        _ => -(1 << 31)..=1 << 31,
    }
}

/// Of a number that need not be whole.
pub(super) fn number(key: &str) -> RangeInclusive<f64> {
    match key {
        "layer_norm_eps" | "eps" => 1e-30..=1.0,
        "crop_pct" => 1e-2..=1.0,
        "mlp_ratio" => 1e-3..=64.0,
        "max_length_s" => 1e-3..=3600.0,
        "rescale_factor" => 1e-6..=1e6,
        "frequency_min" | "frequency_max" => 0.0..=192_000.0,
        "std" => 1e-6..=1e6,
        "repetition_penalty" => 1e-3..=1e3,
        _ => -1e6..=1e6,
    }
}
