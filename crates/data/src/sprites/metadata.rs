//! `metadata` of the official archive: a Python dictionary, which some readers take the sizes of the factors from.
//!
//! numpy stores an array of Python objects as a pickle of the array, so this writes one: of exactly these values, with the few opcodes of
//! pickle's third protocol that they need. Nothing here reads pickles.

/// The official names, colour first.
pub(super) const LATENTS: [&str; 6] = ["color", "shape", "scale", "orientation", "posX", "posY"];

/// The `.npy` content of a scalar array that holds `{"latents_names", "latents_sizes", "latents_possible_values", "title"}`: names as a tuple,
/// sizes as int64, the values of each factor by name as float64.
pub(super) fn metadata(values: &[Vec<f64>; 6]) -> Vec<u8> {
    let mut pickle = Pickle(vec![0x80, 3]);
    pickle.array(&[], "O8", "|", 63, |data| {
        data.dictionary(|entries| {
            entries.text("title");
            entries.text("dSprites, as elbo renders it");
            entries.text("latents_names");
            entries.tuple(|names| LATENTS.iter().for_each(|name| names.text(name)));
            entries.text("latents_sizes");
            let sizes: Vec<u8> = values.iter().flat_map(|levels| (levels.len() as i64).to_le_bytes()).collect();
            entries.numbers(values.len(), "i8", &sizes);
            entries.text("latents_possible_values");
            entries.dictionary(|factors| {
                for (name, levels) in LATENTS.iter().zip(values) {
                    factors.text(name);
                    let bytes: Vec<u8> = levels.iter().flat_map(|value| value.to_le_bytes()).collect();
                    factors.numbers(levels.len(), "f8", &bytes);
                }
            });
        });
    });
    pickle.0.push(b'.');
    pickle.0
}

struct Pickle(Vec<u8>);

impl Pickle {
    fn text(&mut self, text: &str) {
        self.0.push(b'X');
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    fn integer(&mut self, value: i32) {
        self.0.push(b'J');
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.push(b'B');
        self.0.extend((bytes.len() as u32).to_le_bytes());
        self.0.extend(bytes);
    }

    fn flag(&mut self, flag: bool) {
        self.0.push(if flag { 0x88 } else { 0x89 });
    }

    fn tuple(&mut self, items: impl FnOnce(&mut Self)) {
        self.0.push(b'(');
        items(self);
        self.0.push(b't');
    }

    /// Keys and values in turn.
    fn dictionary(&mut self, entries: impl FnOnce(&mut Self)) {
        self.0.extend(b"}(");
        entries(self);
        self.0.push(b'u');
    }

    /// `module.name(arguments)`.
    fn call(&mut self, module: &str, name: &str, arguments: impl FnOnce(&mut Self)) {
        self.0.extend(format!("c{module}\n{name}\n").as_bytes());
        self.tuple(arguments);
        self.0.push(b'R');
    }

    /// A vector of numbers, little end first.
    fn numbers(&mut self, length: usize, kind: &str, bytes: &[u8]) {
        self.array(&[length as i32], kind, "<", 0, |data| data.bytes(bytes));
    }

    /// An array, as `numpy.ndarray.__reduce__` has it; `data` is its bytes, or the list of its objects.
    fn array(&mut self, shape: &[i32], kind: &str, order: &str, flags: i32, data: impl FnOnce(&mut Self)) {
        self.call("numpy.core.multiarray", "_reconstruct", |arguments| {
            arguments.0.extend(b"cnumpy\nndarray\n");
            arguments.tuple(|empty| empty.integer(0));
            arguments.bytes(b"b");
        });
        self.tuple(|state| {
            state.integer(1);
            state.tuple(|sizes| shape.iter().for_each(|&size| sizes.integer(size)));
            state.call("numpy", "dtype", |arguments| {
                arguments.text(kind);
                arguments.flag(false);
                arguments.flag(true);
            });
            state.tuple(|state| {
                state.integer(3);
                state.text(order);
                (0..3).for_each(|_| state.0.push(b'N'));
                state.integer(-1);
                state.integer(-1);
                state.integer(flags);
            });
            state.0.push(b'b');
            state.flag(false);
            if kind == "O8" {
                state.0.push(b']');
                data(state);
                state.0.push(b'a');
            } else {
                data(state);
            }
        });
        self.0.push(b'b');
    }
}
