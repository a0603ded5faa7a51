//! Files about scenes, for people and for other programs.
