//! The side that asks.

use super::{
    ABANDON, Begin, Exchange, Milestone, Prove, Proven, Registered, Registration, RegistrationError, Step,
};
use crate::net::clock;
use crate::peer::client::{Client, ClientError, ClientOptions};
use crate::peer::hex::{from_hex, to_hex};
use crate::peer::proof::{Certificates, Initiator};
use crate::peer::tls::Expect;
use crate::peer::{Fingerprint, Identity, Name, Pin, Pins};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

impl Registration {
    /// Registers this node with the one at the address in `options`, which has to wait for it
    /// ([`Server::offer`](crate::peer::Server::offer)). Takes some hundred milliseconds, and never longer than the time limits in
    /// `options` add up to. Run it in a task of its own: when it is dropped in its last moment, the pin may be kept.
    ///
    /// # Errors
    /// Why it failed. This node has pinned nothing then, and the other one neither, at the latest when its trial ends.
    pub async fn run(
        self,
        options: &ClientOptions,
        identity: &Identity,
        pins: &Pins,
        mut progress: impl FnMut(Milestone),
    ) -> Result<Registered, RegistrationError> {
        let mut client = Client::with(options.clone(), identity, Expect::Anyone)?;
        let shown = client.open().await.map_err(|e| match e {
            // As a rule it hears this later, with the first request.
            ClientError::Unknown { .. } => RegistrationError::NotOpen,
            e => e.into(),
        })?;
        let own = identity.fingerprint();
        if shown == own {
            return Err(RegistrationError::Itself);
        }
        pins.check_address(options.peer.ip().to_canonical(), shown)?;
        progress(Milestone::Connected);
        let node = self.prove(&mut client, Certificates { initiator: own, responder: shown }).await?;
        pins.check(&self.pair, &node, shown)?;
        progress(Milestone::Proven);
        let theirs: Exchange = ask(&mut client, Step::Exchange, &self.exchange()).await.map_err(refused)?;
        self.compare(&theirs)?;
        progress(Milestone::Agreed);
        let pin = Pin {
            pair: self.pair,
            node,
            address: options.peer.ip().to_canonical(),
            fingerprint: shown,
            since: clock::wall(),
            trial: false,
            replaces: None,
        };
        let confirmed = confirm(&mut client, pins, pin).await;
        if confirmed.is_err() {
            // Beyond this point the other node may have pinned: it is told, and if that does not get through it forgets by
            // itself.
            drop(client);
            abandon(options, identity, shown).await;
        }
        let registered = confirmed?;
        progress(Milestone::Pinned);
        Ok(registered)
    }

    /// The mutual proof. Returns the other node's name.
    async fn prove(
        &self,
        client: &mut Client,
        certificates: Certificates,
    ) -> Result<Name, RegistrationError> {
        let (initiator, message) = Initiator::start(&self.key, certificates);
        let wrong = RegistrationError::Wrong { own: certificates.initiator, shown: certificates.responder };
        let begun: Begin =
            ask(client, Step::Begin, &Begin { message: to_hex(&message) }).await.map_err(|e| match e {
                ClientError::Hidden { .. } | ClientError::Unknown { .. } => RegistrationError::NotOpen,
                e => e.into(),
            })?;
        let message = from_hex(&begun.message).ok_or(RegistrationError::BadAnswer)?;
        let claim = self.claim();
        let Ok((confirming, proof)) = initiator.confirm(&message, &claim) else {
            return Err(RegistrationError::BadAnswer);
        };
        let request = Prove { node: claim.node, pair: claim.pair, proof: to_hex(&proof) };
        let proven: Proven = match ask(client, Step::Prove, &request).await {
            Err(ClientError::Hidden { .. }) => return Err(wrong),
            other => other.map_err(refused)?,
        };
        let proof = from_hex(&proven.proof).ok_or(RegistrationError::BadAnswer)?;
        confirming.finish(&proven.node, &proof).map_err(|_| wrong)?;
        Ok(proven.node)
    }
}

async fn confirm(client: &mut Client, pins: &Pins, pin: Pin) -> Result<Registered, RegistrationError> {
    let _: Value = ask(client, Step::Confirm, &json!({})).await.map_err(refused)?;
    let (pins, kept) = (pins.clone(), pin.clone());
    // The disk may take its time; the main thread does not wait for it.
    let written = tokio::task::spawn_blocking(move || pins.pin(kept)).await;
    written.map_err(|_| RegistrationError::BadAnswer)??;
    Ok(Registered { pin })
}

/// Tells the other node that nothing came of it, as well as that goes.
async fn abandon(options: &ClientOptions, identity: &Identity, node: Fingerprint) {
    if let Ok(mut client) = Client::with(options.clone(), identity, Expect::Pinned(node)) {
        // It forgets by itself what it does not hear.
        let _ = client.request(ABANDON, &json!({})).await;
    }
}

async fn ask<T: DeserializeOwned>(
    client: &mut Client,
    step: Step,
    body: &impl Serialize,
) -> Result<T, ClientError> {
    let bad = |e: serde_json::Error| ClientError::BadAnswer(e.to_string());
    let answer = client.request_here(step.path(), &serde_json::to_value(body).map_err(bad)?).await?;
    serde_json::from_value(answer).map_err(bad)
}

/// After the proof, the other node says why it refuses.
fn refused(e: ClientError) -> RegistrationError {
    match e {
        ClientError::Refused { text, .. } => RegistrationError::Refused(text),
        ClientError::BadAnswer(_) => RegistrationError::BadAnswer,
        e => e.into(),
    }
}
