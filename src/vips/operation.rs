//! One libvips operation: look it up, set its arguments, run it, read its results.
//!
//! Every argument is looked up on the operation of the running libvips and checked against its type and range, because
//! GObject would only log a warning and leave the argument out.

use std::ffi::CStr;
use std::ptr::NonNull;

use libvips::bindings::{
    GParamSpec, GType, GTypeFlags_G_TYPE_FLAG_ABSTRACT, VipsArgumentFlags,
    VipsArgumentFlags_VIPS_ARGUMENT_INPUT, VipsArgumentFlags_VIPS_ARGUMENT_MODIFY,
    VipsArgumentFlags_VIPS_ARGUMENT_OUTPUT, VipsObject, VipsOperation,
    g_object_class_find_property, g_object_get_property, g_object_set_property, g_type_test_flags,
    g_value_dup_object, g_value_get_boolean, g_value_get_double, g_value_get_int,
    vips_array_double_get_type, vips_cache_operation_build, vips_image_get_type,
    vips_object_get_argument_flags, vips_object_unref_outputs, vips_operation_new, vips_type_find,
    vips_value_get_array_double,
};

use super::object::{Object, Slot, c_string, fundamental};
use super::{Error, Image, Value, ensure_ready};

/// An operation that has not run yet.
#[derive(Debug)]
pub struct Operation {
    name: String,
    object: Object<VipsOperation>,
}

/// An operation that ran.
#[derive(Debug)]
pub struct Built {
    name: String,
    object: Object<VipsOperation>,
}

/// What the class of an operation says about one argument.
struct Argument {
    spec: NonNull<GParamSpec>,
    kind: GType,
    flags: VipsArgumentFlags,
}

impl Operation {
    /// The operation with this nickname, for example `resize`.
    ///
    /// # Errors
    ///
    /// This libvips has no such operation, or libvips is not initialised.
    pub fn new(nickname: &str) -> Result<Self, Error> {
        ensure_ready(nickname)?;
        let name = c_string(nickname, nickname)?;
        if !is_concrete(c"VipsOperation", &name) {
            return Err(Error::new(nickname, "this libvips has no such operation"));
        }
        // SAFETY: the name is a terminated string and names an operation that can be made.
        let pointer = unsafe { vips_operation_new(name.as_ptr()) };
        // SAFETY: the new reference, if any, is ours.
        let object = unsafe { Object::from_owned(pointer) };
        let object = object.ok_or_else(|| Error::take(nickname))?;
        Ok(Self {
            name: nickname.to_owned(),
            object,
        })
    }

    /// Whether the running libvips knows this input argument.
    pub fn supports(&self, argument: &str) -> bool {
        let name = c_string(&self.name, argument);
        name.is_ok_and(|name| self.input(&name).is_some())
    }

    /// Sets an input argument.
    ///
    /// # Errors
    ///
    /// The argument is unknown, or the value has the wrong type or is outside the argument's range.
    pub fn set<'v>(self, argument: &str, value: impl Into<Value<'v>>) -> Result<Self, Error> {
        let name = c_string(&self.name, argument)?;
        let Some(input) = self.input(&name) else {
            let detail = format!("no argument `{argument}` in this libvips");
            return Err(Error::new(self.name.as_str(), detail));
        };
        self.assign(argument, &name, &input, value.into())?;
        Ok(self)
    }

    /// Sets an input argument that older libvips lack; there it does nothing.
    ///
    /// # Errors
    ///
    /// The value has the wrong type or is outside the argument's range.
    pub fn set_if_supported<'v>(
        self,
        argument: &str,
        value: impl Into<Value<'v>>,
    ) -> Result<Self, Error> {
        let name = c_string(&self.name, argument)?;
        if let Some(input) = self.input(&name) {
            self.assign(argument, &name, &input, value.into())?;
        }
        Ok(self)
    }

    /// Sets several input arguments.
    ///
    /// # Errors
    ///
    /// The first error of [`Operation::set`].
    pub fn set_all(self, arguments: &[(&str, Value<'_>)]) -> Result<Self, Error> {
        arguments
            .iter()
            .try_fold(self, |operation, (name, value)| operation.set(name, *value))
    }

    /// Runs the operation. Most operations only note what is to be done; pixels are made when a saver asks for them.
    ///
    /// # Errors
    ///
    /// libvips refuses: a required argument is missing, the operation is blocked, or the data is broken.
    pub fn run(self) -> Result<Built, Error> {
        // SAFETY: the operation is alive and keeps its own reference; the result carries a reference for us.
        let pointer = unsafe { vips_cache_operation_build(self.object.as_ptr()) };
        // SAFETY: as above, null stands for failure.
        let built = unsafe { Object::from_owned(pointer) };
        let Some(object) = built else {
            let error = Error::take(self.name.as_str());
            release_outputs(&self.object);
            return Err(error);
        };
        Ok(Built {
            name: self.name,
            object,
        })
    }

    fn assign(
        &self,
        argument: &str,
        name: &CStr,
        input: &Argument,
        value: Value<'_>,
    ) -> Result<(), Error> {
        let spec = input.spec.as_ptr();
        // SAFETY: the specification belongs to the class of `self.object` and has this value type.
        let slot = unsafe { value.slot_for(&self.name, argument, spec, input.kind) }?;
        let object = self.object.as_ptr().cast();
        // SAFETY: the property exists, and the slot was validated against it.
        unsafe { g_object_set_property(object, name.as_ptr(), slot.as_ptr()) };
        Ok(())
    }

    /// An argument that may be set. Arguments that an operation modifies in place are left out, because images are
    /// shared.
    fn input(&self, name: &CStr) -> Option<Argument> {
        let argument = find_argument(&self.object, name)?;
        let settable = argument.flags & VipsArgumentFlags_VIPS_ARGUMENT_INPUT != 0
            && argument.flags & VipsArgumentFlags_VIPS_ARGUMENT_MODIFY == 0;
        settable.then_some(argument)
    }
}

impl Built {
    /// An image result.
    ///
    /// # Errors
    ///
    /// There is no image of that name.
    pub fn image(&self, output: &str) -> Result<Image, Error> {
        // SAFETY: a type getter without conditions once libvips is initialised.
        let slot = self.output(output, unsafe { vips_image_get_type() })?;
        // SAFETY: the slot holds an image or null; the result is a reference of our own.
        let pointer = unsafe { g_value_dup_object(slot.as_ptr()) };
        // SAFETY: as above.
        let object = unsafe { Object::from_owned(pointer.cast()) };
        let object = object.ok_or_else(|| self.missing(output))?;
        Ok(Image::from_object(object))
    }

    /// A real number.
    ///
    /// # Errors
    ///
    /// There is no real number of that name.
    pub fn double(&self, output: &str) -> Result<f64, Error> {
        let slot = self.output(output, fundamental::DOUBLE)?;
        // SAFETY: the slot is a double.
        Ok(unsafe { g_value_get_double(slot.as_ptr()) })
    }

    /// A whole number.
    ///
    /// # Errors
    ///
    /// There is no whole number of that name.
    pub fn int(&self, output: &str) -> Result<i32, Error> {
        let slot = self.output(output, fundamental::INT)?;
        // SAFETY: the slot is an int.
        Ok(unsafe { g_value_get_int(slot.as_ptr()) })
    }

    /// A switch.
    ///
    /// # Errors
    ///
    /// There is no switch of that name.
    pub fn bool(&self, output: &str) -> Result<bool, Error> {
        let slot = self.output(output, fundamental::BOOLEAN)?;
        // SAFETY: the slot is a boolean.
        Ok(unsafe { g_value_get_boolean(slot.as_ptr()) } != 0)
    }

    /// Real numbers.
    ///
    /// # Errors
    ///
    /// There is no array of that name.
    pub fn doubles(&self, output: &str) -> Result<Vec<f64>, Error> {
        // SAFETY: a type getter without conditions once libvips is initialised.
        let slot = self.output(output, unsafe { vips_array_double_get_type() })?;
        let mut count = 0;
        // SAFETY: the slot is an array of doubles.
        let data = unsafe { vips_value_get_array_double(slot.as_ptr(), &raw mut count) };
        let count = usize::try_from(count).unwrap_or(0);
        if data.is_null() || count == 0 {
            return Err(self.missing(output));
        }
        // SAFETY: the array has `count` members and belongs to the slot, which outlives the copy.
        Ok(unsafe { std::slice::from_raw_parts(data, count) }.to_vec())
    }

    fn output(&self, output: &str, kind: GType) -> Result<Slot, Error> {
        let name = c_string(&self.name, output)?;
        let argument = find_argument(&self.object, &name)
            .filter(|argument| argument.kind == kind)
            .filter(|argument| argument.flags & VipsArgumentFlags_VIPS_ARGUMENT_OUTPUT != 0)
            .ok_or_else(|| self.missing(output))?;
        let mut slot = Slot::new(argument.kind);
        let object = self.object.as_ptr().cast();
        // SAFETY: the property exists, and the slot has its type.
        unsafe { g_object_get_property(object, name.as_ptr(), slot.as_mut_ptr()) };
        Ok(slot)
    }

    fn missing(&self, output: &str) -> Error {
        Error::new(
            self.name.as_str(),
            format!("no result `{output}` of this type"),
        )
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        release_outputs(&self.object);
    }
}

/// Whether `nickname` names a class below `base` of which objects can be made.
pub(super) fn is_concrete(base: &CStr, nickname: &CStr) -> bool {
    // SAFETY: both names are terminated strings; libvips is initialised.
    let kind = unsafe { vips_type_find(base.as_ptr(), nickname.as_ptr()) };
    if kind == 0 {
        return false;
    }
    // SAFETY: asks about a registered type.
    unsafe { g_type_test_flags(kind, GTypeFlags_G_TYPE_FLAG_ABSTRACT) == 0 }
}

/// A built operation owns a reference to each of its results until told to let go.
fn release_outputs(operation: &Object<VipsOperation>) {
    let object = operation.as_ptr().cast::<VipsObject>();
    // SAFETY: the operation is alive; results that we handed out have references of their own.
    unsafe { vips_object_unref_outputs(object) };
}

fn find_argument(operation: &Object<VipsOperation>, name: &CStr) -> Option<Argument> {
    // SAFETY: the class of a live object, and a terminated name.
    let spec = unsafe { g_object_class_find_property(operation.class(), name.as_ptr()) };
    let spec = NonNull::new(spec)?;
    // SAFETY: the specification belongs to the class, which is never unloaded.
    let kind = unsafe { (*spec.as_ptr()).value_type };
    let object = operation.as_ptr().cast::<VipsObject>();
    // SAFETY: the object is alive and has this property.
    let flags = unsafe { vips_object_get_argument_flags(object, name.as_ptr()) };
    Some(Argument { spec, kind, flags })
}

#[cfg(test)]
mod tests {
    use super::super::stress::{picture, ready, run_alone};
    use super::super::{Interpretation, calls};
    use super::*;

    #[test]
    fn what_gobject_would_ignore_is_an_error() {
        let image = picture(8, 8, 3);
        let images = [image.clone()];
        let cases: [(&str, &str, Value<'_>, Option<&str>); 24] = [
            ("resize", "scale", Value::Double(0.5), None),
            ("resize", "scale", Value::Int(2), None),
            ("resize", "kernel", Value::Str("cubic"), None),
            ("resize", "kernel", Value::Int(2), None),
            ("flatten", "background", Value::Doubles(&[1.0]), None),
            ("pngsave_target", "filter", Value::Str("all"), None),
            ("pngsave_target", "filter", Value::Int(0x08), None),
            ("arrayjoin", "in", Value::Images(&images), None),
            ("resize", "size", Value::Double(0.5), Some("no argument")),
            ("resize", "out", Value::Image(&image), Some("no argument")),
            ("resize", "nickname", Value::Str("x"), Some("no argument")),
            (
                "draw_rect",
                "image",
                Value::Image(&image),
                Some("no argument"),
            ),
            ("resize", "a\0b", Value::Int(1), Some("zero byte")),
            (
                "resize",
                "scale",
                Value::Double(-1.0),
                Some("outside the range"),
            ),
            (
                "resize",
                "scale",
                Value::Double(f64::NAN),
                Some("outside the range"),
            ),
            (
                "resize",
                "scale",
                Value::Double(f64::INFINITY),
                Some("outside the range"),
            ),
            (
                "resize",
                "kernel",
                Value::Int(99),
                Some("outside the range"),
            ),
            (
                "jpegsave_target",
                "Q",
                Value::Int(101),
                Some("outside the range"),
            ),
            ("resize", "kernel", Value::Str("best"), Some("not `best`")),
            ("resize", "scale", Value::Bool(true), Some("takes gdouble")),
            ("resize", "in", Value::Double(1.0), Some("takes VipsImage")),
            ("resize", "in", Value::Str("x"), Some("takes VipsImage")),
            (
                "jpegsave_target",
                "target",
                Value::Image(&image),
                Some("takes VipsTarget"),
            ),
            (
                "arrayjoin",
                "in",
                Value::Doubles(&[1.0]),
                Some("takes VipsArrayImage"),
            ),
        ];
        for (nickname, argument, value, expected) in cases {
            let result = Operation::new(nickname).unwrap().set(argument, value);
            match (result, expected) {
                (Ok(_), None) => {}
                (Err(error), Some(part)) => assert!(error.detail.contains(part), "{error}"),
                (result, expected) => {
                    panic!("{nickname} {argument} {value:?}: {result:?}, expected {expected:?}")
                }
            }
        }
    }

    #[test]
    fn names_that_make_no_operation_are_errors() {
        ready();
        // `foreign` and `colour` are abstract classes.
        for name in ["", "no_such", "foreign", "colour", "a\0b"] {
            assert!(Operation::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn newer_arguments_can_be_skipped_but_not_set_wrongly() {
        let operation = || Operation::new("resize").unwrap();
        ready();
        assert!(operation().set_if_supported("from_the_future", 1).is_ok());
        assert!(operation().set_if_supported("scale", -1.0).is_err());
        assert!(operation().supports("kernel"));
        assert!(!operation().supports("from_the_future"));
    }

    #[test]
    fn failures_carry_what_libvips_wrote() {
        run_alone("vips::operation::tests::child_reads_error_texts");
    }

    #[test]
    #[ignore = "other threads would empty the error buffer; failures_carry_what_libvips_wrote runs it alone"]
    fn child_reads_error_texts() {
        let image = picture(8, 8, 3);
        let error = calls::extract_area(&image, 5, 5, 10, 10).unwrap_err();
        assert_eq!(error.operation, "extract_area");
        assert_eq!(error.detail, "extract_area: bad extract area");
        let missing = Operation::new("flip").unwrap().run().unwrap_err();
        assert!(missing.detail.contains("not set"), "{missing}");
        assert!(!missing.detail.contains("extract"), "{missing}");
        let blocked = Operation::new("matrixload")
            .and_then(|operation| operation.set("filename", "/dev/null"))
            .and_then(Operation::run)
            .unwrap_err();
        assert!(blocked.detail.contains("blocked"), "{blocked}");
        assert!(calls::copy_with_interpretation(&image, Interpretation::Rgb).is_ok());
    }

    #[test]
    fn results_have_a_name_and_a_type() {
        let image = picture(8, 8, 3);
        let built = Operation::new("getpoint")
            .and_then(|operation| operation.set("in", &image))
            .and_then(|operation| operation.set("x", 0))
            .and_then(|operation| operation.set("y", 0))
            .and_then(Operation::run)
            .unwrap();
        assert_eq!(built.doubles("out-array").unwrap(), [0.0, 7.0, 14.0]);
        assert!(built.image("out-array").is_err());
        assert!(built.doubles("nothing").is_err());
        assert!(built.doubles("in").is_err());
        assert!(built.int("x").is_err(), "an input is no result");
        let mean = Operation::new("avg")
            .and_then(|operation| operation.set("in", &image))
            .and_then(Operation::run)
            .unwrap();
        assert!(mean.double("out").unwrap() > 0.0);
        assert!(mean.bool("out").is_err());
    }
}
