//! The values an operation takes, and their conversion to the type that an argument has.
//!
//! GObject only logs a warning for a value of the wrong type or outside the range and carries on without it; here both
//! are errors.

use std::ffi::{CStr, c_void};

use libvips::bindings::{
    GParamSpec, GType, VipsArea, VipsImage, g_enum_get_value_by_nick, g_flags_get_value_by_nick,
    g_param_value_validate, g_type_check_instance_is_a, g_type_class_ref, g_type_class_unref,
    g_type_fundamental, g_type_name, g_value_set_boolean, g_value_set_boxed, g_value_set_double,
    g_value_set_enum, g_value_set_flags, g_value_set_int, g_value_set_object, g_value_set_string,
    g_value_set_uint64, vips_area_unref, vips_array_double_get_type, vips_array_double_new,
    vips_array_image_get_type, vips_array_image_new, vips_array_int_get_type, vips_array_int_new,
};

use super::object::{Slot, c_string, fundamental};
use super::{Error, Image, Source, Target};

/// A value for an argument of an operation.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A switch.
    Bool(bool),
    /// A whole number; also the number of an enumeration's member, and accepted where a real number is expected.
    Int(i32),
    /// A real number.
    Double(f64),
    /// A text, or the nickname of an enumeration's or flag's member.
    Str(&'a str),
    /// Real numbers, for example one for each band.
    Doubles(&'a [f64]),
    /// Whole numbers.
    Ints(&'a [i32]),
    /// One image.
    Image(&'a Image),
    /// Several images.
    Images(&'a [Image]),
    /// Where a loader reads.
    Source(&'a Source),
    /// Where a saver writes.
    Target(&'a Target),
}

macro_rules! value_from {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl<'a> From<$from> for Value<'a> {
            fn from(value: $from) -> Self {
                Self::$variant(value)
            }
        })*
    };
}

value_from! {
    bool => Bool,
    i32 => Int,
    f64 => Double,
    &'a str => Str,
    &'a [f64] => Doubles,
    &'a [i32] => Ints,
    &'a Image => Image,
    &'a [Image] => Images,
    &'a Source => Source,
    &'a Target => Target,
}

impl<'a, const N: usize> From<&'a [f64; N]> for Value<'a> {
    fn from(value: &'a [f64; N]) -> Self {
        Self::Doubles(value)
    }
}

impl Value<'_> {
    fn describe(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Double(value) => value.to_string(),
            Self::Str(value) => format!("`{value}`"),
            Self::Doubles(values) => format!("{values:?}"),
            Self::Ints(values) => format!("{values:?}"),
            Self::Image(_) => "an image".to_owned(),
            Self::Images(_) => "images".to_owned(),
            Self::Source(_) => "a source".to_owned(),
            Self::Target(_) => "a target".to_owned(),
        }
    }

    /// A GValue of the argument's own type that libvips accepts as it is.
    ///
    /// # Safety
    ///
    /// `spec` is a live parameter specification of the operation `operation`, of value type `kind`.
    pub(super) unsafe fn slot_for(
        &self,
        operation: &str,
        argument: &str,
        spec: *mut GParamSpec,
        kind: GType,
    ) -> Result<Slot, Error> {
        let wrong = || {
            let (value, kind) = (self.describe(), type_name(kind));
            Error::new(
                operation,
                format!("argument `{argument}` takes {kind}, not {value}"),
            )
        };
        let out_of_range = || {
            let value = self.describe();
            Error::new(
                operation,
                format!("{value} is outside the range of argument `{argument}`"),
            )
        };
        if self.has_nan() {
            return Err(out_of_range());
        }
        let mut slot = Slot::new(kind);
        self.fill(operation, &mut slot, kind)?.ok_or_else(wrong)?;
        // SAFETY: the caller vouches for `spec`; the slot has its value type.
        let changed = unsafe { g_param_value_validate(spec, slot.as_mut_ptr()) != 0 };
        if changed {
            return Err(out_of_range());
        }
        Ok(slot)
    }

    fn has_nan(&self) -> bool {
        match self {
            Self::Double(value) => value.is_nan(),
            Self::Doubles(values) => values.iter().any(|value| value.is_nan()),
            _ => false,
        }
    }

    /// Writes the value; `None` if a value of this kind does not fit the type.
    fn fill(&self, operation: &str, slot: &mut Slot, kind: GType) -> Result<Option<()>, Error> {
        // SAFETY: asks about a registered type.
        let base = unsafe { g_type_fundamental(kind) };
        let value = slot.as_mut_ptr();
        match (*self, base) {
            // SAFETY: the slot is a boolean.
            (Self::Bool(flag), fundamental::BOOLEAN) => unsafe {
                g_value_set_boolean(value, i32::from(flag));
            },
            // SAFETY: the slot is an int.
            (Self::Int(number), fundamental::INT) => unsafe { g_value_set_int(value, number) },
            // SAFETY: the slot is a double.
            (Self::Int(number), fundamental::DOUBLE) => unsafe {
                g_value_set_double(value, f64::from(number));
            },
            (Self::Int(number), fundamental::UINT64) => {
                let Ok(number) = u64::try_from(number) else {
                    return Ok(None);
                };
                // SAFETY: the slot is an unsigned 64-bit number.
                unsafe { g_value_set_uint64(value, number) };
            }
            // SAFETY: the slot is an enumeration; validation rejects a number that is no member.
            (Self::Int(number), fundamental::ENUM) => unsafe { g_value_set_enum(value, number) },
            (Self::Int(number), fundamental::FLAGS) => {
                let Ok(number) = u32::try_from(number) else {
                    return Ok(None);
                };
                // SAFETY: the slot is a flag set; validation rejects unknown bits.
                unsafe { g_value_set_flags(value, number) };
            }
            // SAFETY: the slot is a double.
            (Self::Double(number), fundamental::DOUBLE) => unsafe {
                g_value_set_double(value, number);
            },
            (Self::Str(text), fundamental::STRING) => {
                let text = c_string(operation, text)?;
                // SAFETY: the slot is a string; the text is copied.
                unsafe { g_value_set_string(value, text.as_ptr()) };
            }
            (Self::Str(nick), fundamental::ENUM | fundamental::FLAGS) => {
                let nick = c_string(operation, nick)?;
                return Ok(set_by_nick(slot, kind, base, &nick));
            }
            (Self::Image(image), fundamental::OBJECT) => {
                return Ok(set_object(slot, kind, image.as_ptr().cast()));
            }
            (Self::Target(target), fundamental::OBJECT) => {
                return Ok(set_object(slot, kind, target.as_ptr().cast()));
            }
            (Self::Source(source), fundamental::OBJECT) => {
                return Ok(set_object(slot, kind, source.open()?.as_ptr().cast()));
            }
            (Self::Doubles(numbers), fundamental::BOXED) => {
                return Ok(set_doubles(slot, kind, numbers));
            }
            (Self::Ints(numbers), fundamental::BOXED) => return Ok(set_ints(slot, kind, numbers)),
            (Self::Images(images), fundamental::BOXED) => {
                return Ok(set_images(slot, kind, images));
            }
            _ => return Ok(None),
        }
        Ok(Some(()))
    }
}

/// Stores an object of the argument's class; the slot takes a reference of its own.
fn set_object(slot: &mut Slot, kind: GType, object: *mut c_void) -> Option<()> {
    // SAFETY: `object` is a live GObject, which starts with its type.
    if unsafe { g_type_check_instance_is_a(object.cast(), kind) } == 0 {
        return None;
    }
    // SAFETY: the slot is a slot for this class of objects, and `object` is alive.
    unsafe { g_value_set_object(slot.as_mut_ptr(), object) };
    Some(())
}

fn set_by_nick(slot: &mut Slot, kind: GType, base: GType, nick: &CStr) -> Option<()> {
    // SAFETY: `kind` is registered; the reference is given back below.
    let class = unsafe { g_type_class_ref(kind) };
    let found = if base == fundamental::ENUM {
        // SAFETY: the class of an enumeration type is a GEnumClass.
        let member = unsafe { g_enum_get_value_by_nick(class.cast(), nick.as_ptr()) };
        // SAFETY: null or a member of the class that is held here.
        unsafe { member.as_ref() }.map(|member| {
            // SAFETY: the slot is an enumeration.
            unsafe { g_value_set_enum(slot.as_mut_ptr(), member.value) };
        })
    } else {
        // SAFETY: the class of a flags type is a GFlagsClass.
        let member = unsafe { g_flags_get_value_by_nick(class.cast(), nick.as_ptr()) };
        // SAFETY: null or a member of the class that is held here.
        unsafe { member.as_ref() }.map(|member| {
            // SAFETY: the slot is a flag set.
            unsafe { g_value_set_flags(slot.as_mut_ptr(), member.value) };
        })
    };
    // SAFETY: gives back the reference taken above.
    unsafe { g_type_class_unref(class) };
    found
}

fn set_doubles(slot: &mut Slot, kind: GType, numbers: &[f64]) -> Option<()> {
    // SAFETY: a type getter.
    let expected = unsafe { vips_array_double_get_type() };
    let count = i32::try_from(numbers.len()).ok()?;
    if kind != expected {
        return None;
    }
    // SAFETY: `count` numbers start at the pointer and are copied.
    let area = unsafe { vips_array_double_new(numbers.as_ptr(), count) };
    set_area(slot, area.cast())
}

fn set_ints(slot: &mut Slot, kind: GType, numbers: &[i32]) -> Option<()> {
    // SAFETY: a type getter.
    let expected = unsafe { vips_array_int_get_type() };
    let count = i32::try_from(numbers.len()).ok()?;
    if kind != expected {
        return None;
    }
    // SAFETY: `count` numbers start at the pointer and are copied.
    let area = unsafe { vips_array_int_new(numbers.as_ptr(), count) };
    set_area(slot, area.cast())
}

fn set_images(slot: &mut Slot, kind: GType, images: &[Image]) -> Option<()> {
    // SAFETY: a type getter.
    let expected = unsafe { vips_array_image_get_type() };
    let count = i32::try_from(images.len()).ok()?;
    if kind != expected {
        return None;
    }
    let mut pointers: Vec<*mut VipsImage> = images.iter().map(Image::as_ptr).collect();
    // SAFETY: `count` live images; the array takes a reference to each.
    let area = unsafe { vips_array_image_new(pointers.as_mut_ptr(), count) };
    set_area(slot, area.cast())
}

/// Moves a freshly made area into a boxed slot.
fn set_area(slot: &mut Slot, area: *mut VipsArea) -> Option<()> {
    if area.is_null() {
        return None;
    }
    // SAFETY: the slot's type is the type of the area; the slot takes a reference of its own.
    unsafe { g_value_set_boxed(slot.as_mut_ptr(), area.cast()) };
    // SAFETY: gives back the reference that creation handed out.
    unsafe { vips_area_unref(area) };
    Some(())
}

fn type_name(kind: GType) -> String {
    // SAFETY: the name of a registered type is a static string, null for an unknown number.
    let name = unsafe { g_type_name(kind) };
    if name.is_null() {
        return "another type".to_owned();
    }
    // SAFETY: a terminated string that lives as long as the process.
    unsafe { CStr::from_ptr(name) }
        .to_string_lossy()
        .into_owned()
}
