//! tmp
use super::Run;
use crate::method::Method;
use anyhow::Result;
impl<M: Method> Run<M> {
    pub(super) fn evaluate(&mut self) -> Result<()> { Ok(()) }
    pub(super) fn draw(&mut self) -> Result<()> { Ok(()) }
}
