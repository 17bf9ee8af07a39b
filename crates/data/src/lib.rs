//! Images with factors, attributes and labels, on the device that trains.
//!
//! ```text
//! DataConfig ── load ──▶ Splits { train, test? }          Dataset { images, factors?, attributes?, labels? }
//! BatchOrder ── next_indices ──▶ Int64 [B] ── Images::gather ──▶ float32 [B, C, H, W]        all on the device
//! ```
//!
//! - [`sprites`]: dSprites, rendered bit for bit in well under a second; nothing to fetch.
//! - [`idx`], [`pictures`], and `.npz` files through [`DataConfig`]: readers that take no file at its word.
//! - [`ArrayFile`]: named arrays of numbers (`.npz`, safetensors), as other frameworks leave them.
//! - [`Images`]: uint8 or one bit a pixel on the device, unpacked in the step that reads them.
//! - [`BatchOrder`]: shuffled sampling without replacement that a captured step can run.
//!
//! ```
//! use elbo_data::{BatchOrder, DataConfig};
//! use elbo_native::{Generator, initialise};
//! use tch::{Device, Kind};
//!
//! initialise();
//! let config: DataConfig = serde_json::from_str(
//!     r#"{ "source": "sprites", "batch_size": 8, "subset": { "shape": "2", "orientation": "0..40/10", "position_y": "16" } }"#,
//! )?;
//! let data = config.load(Device::Cpu, &mut |message| eprintln!("{message}"))?.train;
//! assert_eq!(data.len(), 6 * 4 * 32);
//!
//! let noise = Generator::new(Device::Cpu, 1)?;
//! let mut order = BatchOrder::new(data.len(), config.batch_size, &noise)?;
//! let indices = order.next_indices();
//! let x = data.images.gather(&indices, &noise);
//! order.advance();
//! assert_eq!((x.size(), x.kind()), (vec![8, 1, 64, 64], Kind::Float));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arrays;
mod attributes;
mod config;
mod dataset;
mod error;
mod files;
pub mod idx;
mod images;
mod levels;
mod load;
mod npy;
mod npz;
mod order;
pub mod pictures;
mod pixels;
pub mod sprites;

pub use arrays::{Array, ArrayFile};
pub use config::{Binarize, DataConfig, Source};
pub use dataset::{Attributes, Dataset, Factors, Split, Splits};
pub use error::DataError;
pub use files::{cache_folder, write_beside};
pub use images::{ImageShape, Images};
pub use levels::Levels;
pub use order::BatchOrder;
