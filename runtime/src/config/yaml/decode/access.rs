//! The parts of a node as serde asks for them: entries, items, variants, positions.

use serde::de::value::{StrDeserializer, U32Deserializer};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

use super::error::DecodeError;
use super::{FlawKind, Value};
use crate::config::yaml::node::{At, Mark, Node, Shape, Step};

/// The mapping as serde walks it, without what was withdrawn.
pub(super) struct Map<'a, 'i> {
    pub entries: &'i mut std::slice::Iter<'a, (At<String>, Node)>,
    pub current: Option<&'a (At<String>, Node)>,
}

impl<'de> de::MapAccess<'de> for Map<'_, '_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        self.current = self.entries.find(|(_, value)| !matches!(value.shape, Shape::Withdrawn));
        self.current.map(|(key, _)| seed.deserialize(Key(key))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let (key, value) = self.current.expect("serde asks for a value after its key");
        seed.deserialize(Value(value))
            .map_err(|error| error.at(value.mark).under(Step::Key(key.value.clone())))
    }
}

/// The list as serde walks it, without what was withdrawn.
pub(super) struct List<'a> {
    pub items: &'a [Node],
    pub index: usize,
}

impl<'de> de::SeqAccess<'de> for List<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        while let Some(item) = self.items.get(self.index) {
            let index = self.index;
            self.index += 1;
            if !matches!(item.shape, Shape::Withdrawn) {
                return seed
                    .deserialize(Value(item))
                    .map(Some)
                    .map_err(|error| error.at(item.mark).under(Step::Index(index)));
            }
        }
        Ok(None)
    }
}

/// A key is a text that may be asked for with its position.
struct Key<'a>(&'a At<String>);

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_str(&self.0.value).map_err(|error: DecodeError| error.at(self.0.mark))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_seq(Position { mark: self.0.mark, value: self, next: 0 })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple map struct enum identifier ignored_any
    }
}

/// Line, column and value, one after the other, for [`At`].
pub(super) struct Position<D> {
    pub mark: Mark,
    pub value: D,
    pub next: u8,
}

impl<'de, D: Deserializer<'de, Error = DecodeError> + Take> de::SeqAccess<'de> for Position<D> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        self.next += 1;
        let number = |number: u32| -> U32Deserializer<DecodeError> { number.into_deserializer() };
        match self.next {
            1 => seed.deserialize(number(self.mark.line)).map(Some),
            2 => seed.deserialize(number(self.mark.column)).map(Some),
            3 => seed.deserialize(self.value.take()).map(Some).map_err(|error| error.at(self.mark)),
            _ => Ok(None),
        }
    }
}

/// A deserializer that is only borrowed data and can be used from behind a reference.
pub(super) trait Take {
    fn take(&self) -> Self;
}

impl Take for Value<'_> {
    fn take(&self) -> Self {
        *self
    }
}

impl Take for Key<'_> {
    fn take(&self) -> Self {
        Key(self.0)
    }
}

/// A chosen variant: its name alone, or a mapping from its name to its content.
pub(super) struct Variant<'a> {
    pub name: &'a str,
    pub content: Option<&'a Node>,
}

impl<'de, 'a> de::EnumAccess<'de> for Variant<'a> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), DecodeError> {
        let name: StrDeserializer<'_, DecodeError> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        match self.content {
            None => Ok(()),
            Some(content) => Err(Value(content).mismatch("nothing")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, DecodeError> {
        let step = Step::Key(self.name.to_owned());
        match self.content {
            Some(content) => seed.deserialize(Value(content)).map_err(|error| error.under(step)),
            None => {
                Err(DecodeError::new(FlawKind::Value, format!("`{}` needs a mapping", self.name)))
            }
        }
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.newtype_variant_seed(Whole(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.newtype_variant_seed(Whole(visitor))
    }
}

/// Lets a visitor take a whole value.
struct Whole<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Whole<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_any(self.0)
    }
}
