//! What the service and a child say to each other: a job with the descriptor of its file, and a reply with its blobs.
//!
//! A message is the length of its JSON as a little-endian u32, then the JSON; in a reply, then the blobs, whose lengths the
//! JSON has.

use std::{
    fs::File,
    io::{IoSlice, IoSliceMut, Read as _, Write as _},
    mem::MaybeUninit,
    os::{fd::AsFd as _, unix::net::UnixStream as ChildStream},
};

use anyhow::{Context as _, ensure};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, Interest},
    net::UnixStream,
};

use super::image::{DerivedImage, GreyImage, ImageLimits};
use crate::validate::ValidationError;

/// In bytes. A child that was taken over by its file cannot exhaust the service's memory.
const MAX_JSON: usize = 64 << 10;

/// Of what is derived, in bytes; a copy of the file may be added.
const MAX_BLOBS: u64 = 32 << 20;

/// What a child does with a file.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Job {
    Derive(ImageLimits),
    /// The longest side has at most this many pixels.
    Grey(u32),
}

/// What comes of it.
#[derive(Debug, Serialize, Deserialize)]
pub enum Output {
    Derived(DerivedImage),
    Grey(GreyImage),
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Failed {
    Invalid(ValidationError),
    OutOfMemory,
    /// Not the file's fault.
    Internal(String),
}

/// The answer to a job.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reply {
    /// Whether the kernel keeps the child from all files by Landlock.
    pub landlocked: bool,
    pub outcome: Result<Output, Failed>,
    /// Lengths, in bytes.
    blobs: Vec<usize>,
}

impl Reply {
    pub fn new(landlocked: bool, outcome: Result<Output, Failed>) -> Self {
        Self { landlocked, outcome, blobs: Vec::new() }
    }
}

impl Output {
    /// The bytes, which JSON would make several times as long.
    fn blobs(&mut self) -> Vec<&mut Vec<u8>> {
        match self {
            Self::Derived(image) => {
                vec![&mut image.thumbnail, &mut image.clipboard, &mut image.thumbhash, &mut image.without_location]
            }
            Self::Grey(image) => vec![&mut image.pixels],
        }
    }
}

/// In the service: sends a job and its file.
pub async fn send(socket: &UnixStream, job: &Job, file: &File) -> anyhow::Result<()> {
    let json = serde_json::to_vec(job)?;
    let message = [&length(&json)?[..], &json].concat();
    let descriptors = [file.as_fd()];
    let sent = socket.async_io(Interest::WRITABLE, || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        Ok(sendmsg(socket, &[IoSlice::new(&message)], &mut control, SendFlags::NOSIGNAL)?)
    });
    // The socket's buffer is empty and far larger, so the kernel takes the message as a whole.
    ensure!(sent.await? == message.len(), "the job was cut off");
    Ok(())
}

/// In the service: the reply to a job whose file has this many bytes.
pub async fn receive_reply(socket: &mut UnixStream, file_size: u64) -> anyhow::Result<Reply> {
    let json_length = socket.read_u32_le().await? as usize;
    ensure!(json_length <= MAX_JSON, "the reply's JSON has {json_length} bytes");
    let mut json = vec![0; json_length];
    socket.read_exact(&mut json).await?;
    let mut reply: Reply = serde_json::from_slice(&json)?;
    let Ok(output) = &mut reply.outcome else { return Ok(reply) };
    let blobs = output.blobs();
    let total = reply.blobs.iter().try_fold(0_usize, |sum, length| sum.checked_add(*length));
    ensure!(total.is_some_and(|total| total as u64 <= MAX_BLOBS + file_size), "the reply's blobs are too large");
    ensure!(blobs.len() == reply.blobs.len(), "the reply has {} blobs", reply.blobs.len());
    for (blob, length) in blobs.into_iter().zip(&reply.blobs) {
        *blob = vec![0; *length];
        socket.read_exact(blob).await?;
    }
    Ok(reply)
}

/// In the child: the next job and its file, or `None` if the service has closed the socket.
pub fn receive(mut socket: &ChildStream) -> anyhow::Result<Option<(Job, File)>> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut length)], &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
    if received == 0 {
        return Ok(None);
    }
    let mut descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let file = descriptors.next().context("a job without a file")?;
    socket.read_exact(&mut length[received..])?;
    let mut json = vec![0; u32::from_le_bytes(length) as usize];
    socket.read_exact(&mut json)?;
    Ok(Some((serde_json::from_slice(&json)?, file.into())))
}

/// In the child: the reply.
pub fn reply(mut socket: &ChildStream, mut reply: Reply) -> anyhow::Result<()> {
    let outcome = reply.outcome.as_mut();
    let blobs: Vec<Vec<u8>> =
        outcome.map_or_else(|_| Vec::new(), |output| output.blobs().into_iter().map(std::mem::take).collect());
    reply.blobs = blobs.iter().map(Vec::len).collect();
    let json = serde_json::to_vec(&reply)?;
    socket.write_all(&length(&json)?)?;
    socket.write_all(&json)?;
    for blob in blobs {
        socket.write_all(&blob)?;
    }
    Ok(())
}

fn length(json: &[u8]) -> anyhow::Result<[u8; 4]> {
    Ok(u32::try_from(json.len())?.to_le_bytes())
}
