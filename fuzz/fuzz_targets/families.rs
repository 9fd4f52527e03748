//! Replies about families: any bytes are read, and what two processes say is combined without loss: a figure of one is a figure
//! of both. The last byte chooses the question.
#![no_main]

use haproxystats::haproxy::learnt::{Learnt, Place};
use haproxystats::haproxy::questions::QUESTIONS;
use haproxystats::parse::facts::Facts;
use haproxystats::parse::facts::rows::{Seen, Wanted, of_listeners};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, input)) = data.split_last() else { return };
    let text = String::from_utf8_lossy(input);
    match QUESTIONS.get(usize::from(choice)) {
        Some(question) => {
            let (mut one, mut two) = (Facts::default(), Facts::default());
            one.read(question, &text, 1_800_000_000);
            for _ in 0..2 {
                two.read(question, &text, 1_800_000_000);
            }
            assert_eq!(two.unknown, 2 * one.unknown);
            let figures = |facts: &Facts| -> Vec<_> {
                facts.combined().map(|(named, figures)| (named.clone(), figures.len())).collect()
            };
            assert_eq!(figures(&one), figures(&two));
        }
        None => {
            let mut learnt = Learnt::default();
            let unknown = ["new_one".to_owned()].into();
            learnt.learn(Place::Stat, &unknown, "F.2.0.4.new_one.1:MGP:u32:0\n");
            let wanted = Wanted { listeners: of_listeners(|_| true), states: true, series: true, learnt };
            let mut seen = Seen::default();
            seen.read(input, &wanted).expect("memory can be read");
            assert!(seen.combined(true).values().all(|figures| !figures.is_empty()));
        }
    }
});
