//! The contract as tables: what every value type can do, which rule names which field, how topics are laid out.

mod envelope;
mod topics;
mod values;
