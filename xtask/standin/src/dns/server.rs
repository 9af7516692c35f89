//! The server: messages over UDP and TCP (RFC 1035, 4.2).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::DNSClass;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::Resolver;

/// How long a TCP client may take for a message.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes of a UDP answer to a client that does not say how many it takes.
const SMALLEST_PAYLOAD: u16 = 512;

/// The bytes of a message's header.
const HEADER: usize = 12;

/// Listens at the same port with UDP and TCP; port 0 is one that both have free.
pub async fn listen(address: SocketAddr) -> Result<(UdpSocket, TcpListener)> {
    // The TCP port of a free UDP port may be taken.
    for _ in 0..20 {
        let udp = UdpSocket::bind(address).await.with_context(|| format!("listen on {address} (UDP)"))?;
        let bound = udp.local_addr()?;
        match TcpListener::bind(bound).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(_) if address.port() == 0 => {}
            Err(error) => return Err(error).with_context(|| format!("listen on {bound} (TCP)")),
        }
    }
    bail!("no port of {} is free with both UDP and TCP", address.ip())
}

/// Answers until the process ends.
pub async fn serve(resolver: Arc<Resolver>, udp: UdpSocket, tcp: TcpListener) {
    tokio::join!(serve_udp(Arc::clone(&resolver), Arc::new(udp)), serve_tcp(resolver, tcp));
}

async fn serve_udp(resolver: Arc<Resolver>, socket: Arc<UdpSocket>) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        // An error is about an earlier answer that its client did not take.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
        let (question, resolver, socket) = (buffer[..length].to_vec(), Arc::clone(&resolver), Arc::clone(&socket));
        tokio::spawn(async move {
            if let Some(answer) = respond(&resolver, &question, Transport::Udp).await {
                socket.send_to(&answer, client).await.ok();
            }
        });
    }
}

async fn serve_tcp(resolver: Arc<Resolver>, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let resolver = Arc::clone(&resolver);
        // An error is a client that went away.
        tokio::spawn(async move { connection(&resolver, stream).await.ok() });
    }
}

async fn connection(resolver: &Resolver, mut stream: TcpStream) -> Result<()> {
    loop {
        let question = timeout(PATIENCE, read_message(&mut stream)).await??;
        let Some(answer) = respond(resolver, &question, Transport::Tcp).await else { return Ok(()) };
        let length = u16::try_from(answer.len())?.to_be_bytes();
        timeout(PATIENCE, stream.write_all(&[&length, &answer[..]].concat())).await??;
    }
}

async fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

#[derive(Clone, Copy, PartialEq)]
enum Transport {
    Udp,
    Tcp,
}

/// The answer to a message. None if it is none that an answer could be sent to.
async fn respond(resolver: &Resolver, bytes: &[u8], transport: Transport) -> Option<Vec<u8>> {
    if bytes.len() < HEADER {
        return None;
    }
    let Ok(question) = Message::from_vec(bytes) else {
        let is_response = bytes[2] & 0x80 != 0;
        let id = u16::from_be_bytes([bytes[0], bytes[1]]);
        let error = Message::error_msg(id, OpCode::Query, ResponseCode::FormErr);
        return if is_response { None } else { error.to_vec().ok() };
    };
    if question.metadata.message_type == MessageType::Response {
        return None;
    }
    let answer = answer(resolver, &question).await;
    let encoded = answer.to_vec().ok()?;
    let limit = question.edns.as_ref().map_or(SMALLEST_PAYLOAD, |edns| edns.max_payload().max(SMALLEST_PAYLOAD));
    if transport == Transport::Udp && encoded.len() > usize::from(limit) {
        let mut truncated = answer.truncate();
        truncated.metadata.message_type = MessageType::Response;
        return truncated.to_vec().ok();
    }
    Some(encoded)
}

async fn answer(resolver: &Resolver, question: &Message) -> Message {
    let asked = &question.metadata;
    let mut message = Message::response(asked.id, asked.op_code);
    message.metadata.recursion_desired = asked.recursion_desired;
    message.metadata.recursion_available = true;
    if question.edns.is_some() {
        message.set_edns(Edns::new());
    }
    message.add_queries(question.queries.iter().cloned());
    let refused = match &question.queries[..] {
        _ if asked.op_code != OpCode::Query => Some(ResponseCode::NotImp),
        [query] if query.query_class() == DNSClass::IN => None,
        [_] => Some(ResponseCode::Refused),
        _ => Some(ResponseCode::FormErr),
    };
    if let Some(code) = refused {
        message.metadata.response_code = code;
        return message;
    }
    let query = &question.queries[0];
    let found = resolver.resolve(query.name(), query.query_type(), asked.recursion_desired).await;
    message.metadata.response_code = found.code;
    message.metadata.authoritative = found.authoritative;
    message.add_answers(found.answers);
    message.add_authorities(found.authorities);
    message
}
