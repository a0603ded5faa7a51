//! A page about one video.
