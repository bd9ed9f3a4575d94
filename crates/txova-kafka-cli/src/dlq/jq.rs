//! An expression of the jq language about a letter. Knows the language and nothing of Kafka.

use std::sync::Arc;

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, data, unwrap_valr};
use jaq_json::{Val, read};
use txova_events::DeadLetter;

use crate::failure::Failure;

type Data = data::JustLut<Val>;

#[derive(Clone)]
pub(crate) struct Jq(Arc<Filter<Data>>);

impl Jq {
    pub(crate) fn compile(expression: &str) -> Result<Self, Failure> {
        let wrong = |what: &str| {
            Failure::Usage(format!(
                "--jq {expression}: {what}; expected an expression such as '.envelope.payload.fare < 0'"
            ))
        };
        let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let program = File { code: expression, path: () };
        let modules = Loader::new(defs).load(&arena, program).map_err(|_| wrong("it is no jq expression"))?;
        let filter = Compiler::default()
            .with_funs(funs)
            .compile(modules)
            .map_err(|_| wrong("it uses something that jq does not have"))?;
        Ok(Self(Arc::new(filter)))
    }

    /// Whether its first answer is neither false nor null; an error is no.
    pub(crate) fn holds(&self, letter: &DeadLetter) -> bool {
        let Ok(letter) = read::parse_single(&letter.encode()) else { return false };
        let context = Ctx::<Data>::new(&self.0.lut, Vars::new([]));
        let mut answers = self.0.id.run((context, letter)).map(unwrap_valr);
        answers
            .next()
            .is_some_and(|answer| answer.is_ok_and(|answer| !matches!(answer, Val::Null | Val::Bool(false))))
    }
}

#[cfg(test)]
mod tests {
    use txova_events::Time;

    use super::*;

    #[test]
    fn an_expression_holds_where_its_answer_is_neither_false_nor_null() {
        let letter = DeadLetter::new("txova.rides.v1", 3, 42, "a fare of -5", Time::ZERO);
        for (expression, holds) in [
            (".original_offset > 40", true),
            (".error_message | test(\"fare\")", true),
            (".envelope.payload.fare < 0", true), // null sorts before every number, as in jq
            (".envelope", false),
            (".error_message | contains(7)", false),
            ("empty", false),
        ] {
            assert_eq!(Jq::compile(expression).unwrap().holds(&letter), holds, "{expression}");
        }
        for wrong in [".a |", "nothing_of_this_name", "("] {
            assert!(Jq::compile(wrong).is_err(), "{wrong}");
        }
    }
}
