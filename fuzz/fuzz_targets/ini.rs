//! Configuration files: any text is read or refused, every value resolves or is refused, what was read survives as text,
//! and the checks of the values take anything.
#![no_main]

use haproxystats::config::ini::Ini;
use haproxystats::config::load;
use haproxystats::config::options::Program;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for program in Program::ALL {
        let _ = load::from_text(program, text, "fuzz");
    }
    let Ok(ini) = Ini::parse(text) else { return };
    let again = Ini::parse(&ini.to_text()).expect("what was read can be read again");
    let sections: Vec<_> = ini.sections().collect();
    assert_eq!(sections, again.sections().collect::<Vec<_>>());
    for section in sections {
        assert_eq!(ini.options(section), again.options(section));
        for option in ini.options(section) {
            let text = |ini: &Ini| ini.raw(section, option).map(|raw| raw.text);
            assert_eq!(text(&ini), text(&again));
            assert_eq!(ini.get(section, option).ok(), again.get(section, option).ok());
        }
    }
});
