//! What can stand for values: a value of any kind, an optional one, or a list.

use std::borrow::Cow;

use crate::Value;

/// The values of one attribute, perhaps none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(pub Vec<Value>);

macro_rules! values_from {
    ($($(#[$doc:meta])* $kind:ty => |$it:ident| $value:expr;)+) => {$(
        impl From<$kind> for Value {
            fn from($it: $kind) -> Self {
                $value
            }
        }
        values_from!(once $kind);
    )+};
    (once $kind:ty) => {
        impl From<$kind> for Values {
            fn from(value: $kind) -> Self {
                Self(vec![value.into()])
            }
        }
        impl From<Option<$kind>> for Values {
            fn from(value: Option<$kind>) -> Self {
                Self(value.into_iter().map(Value::from).collect())
            }
        }
    };
}

values_from! {
    &str => |text| Value::Text(text.into());
    String => |text| Value::Text(text);
    Cow<'_, str> => |text| Value::Text(text.into_owned());
    i64 => |number| Value::Integer(number);
    bool => |flag| Value::Boolean(flag);
    Vec<u8> => |bytes| Value::Binary(bytes);
    &[u8] => |bytes| Value::Binary(bytes.into());
    &Value => |value| value.clone();
}

values_from!(once Value);

impl From<Vec<Value>> for Values {
    fn from(values: Vec<Value>) -> Self {
        Self(values)
    }
}

impl From<&[Value]> for Values {
    fn from(values: &[Value]) -> Self {
        Self(values.into())
    }
}

impl<T: Into<Value>> FromIterator<T> for Values {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self(values.into_iter().map(Into::into).collect())
    }
}
