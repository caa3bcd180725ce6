//! Pure arithmetic: options and header facts in, resolved numbers out. No vips, no I/O, no clock.
