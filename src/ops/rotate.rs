//! Rotation: `rotate` and `auto_rotate`.
