//! Tests of elbo-data through its public interface, in one process.

mod arrays;
mod attributes;
mod configuration;
mod damage;
mod dataset;
mod images;
mod npz;
mod order;
mod pictures;
mod readers;
mod setting;
mod sprites;
mod untrusted;
