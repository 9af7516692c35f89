//! A Sigstore that no machine trusts: a certificate authority and a transparency log, which sign attestations as GitHub's workflows
//! get them. A verifier trusts it by its [`Sigstore::trusted_root`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, date_time_ymd,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The time of every signature: noon of 1 June 2025.
const SIGNED: i64 = 1_748_779_200;
/// The log's name in its checkpoints.
const LOG: &str = "log.of.a.test";

/// An authority with a log.
pub struct Sigstore {
    authority: CertifiedIssuer<'static, KeyPair>,
    log: KeyPair,
}

/// What an attestation says, and how it is signed. The constructor makes a right one; tests change it.
#[derive(Clone, Debug)]
pub struct Attestation {
    /// `sha256:<hex>` of the image.
    pub digest: String,
    /// `https://github.com/OWNER/NAME`.
    pub repository: String,
    /// The commit that the certificate names.
    pub commit: String,
    /// The commit that the statement names.
    pub stated: String,
    /// `refs/heads/main`.
    pub reference: String,
    /// The address of the workflow that signs, without its reference.
    pub workflow: String,
    pub issuer: String,
    pub predicate: String,
    /// The day of June 2025 on which the certificate is valid.
    pub day: u8,
    /// Whether the log has promised the time of the signature.
    pub promised: bool,
    /// Whether it is in the log.
    pub logged: bool,
}

impl Attestation {
    /// One that `.github/workflows/ci.yml` of a repository, `OWNER/NAME`, makes on its branch `main`.
    pub fn of(repository: &str, commit: &str, digest: &str) -> Self {
        let repository = format!("https://github.com/{repository}");
        Self {
            digest: digest.to_owned(),
            workflow: format!("{repository}/.github/workflows/ci.yml"),
            repository,
            commit: commit.to_owned(),
            stated: commit.to_owned(),
            reference: "refs/heads/main".to_owned(),
            issuer: "https://token.actions.githubusercontent.com".to_owned(),
            predicate: "https://slsa.dev/provenance/v1".to_owned(),
            day: 1,
            promised: true,
            logged: true,
        }
    }

    /// The statement that is signed.
    fn statement(&self) -> Vec<u8> {
        let Self { digest, repository, stated, reference, predicate, .. } = self;
        let (algorithm, hex) = digest.split_once(':').unwrap();
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": "image", "digest": { algorithm: hex } }],
            "predicateType": predicate,
            "predicate": {
                "buildDefinition": {
                    "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                    "externalParameters": { "workflow": { "ref": reference, "repository": repository, "path": ".github/workflows/ci.yml" } },
                    "resolvedDependencies": [{ "uri": format!("git+{repository}@{reference}"), "digest": { "gitCommit": stated } }],
                },
                "runDetails": { "builder": { "id": format!("{}@{reference}", self.workflow) } },
            },
        });
        statement.to_string().into_bytes()
    }

    /// The certificate's extensions: Fulcio's, by the last number of their object identifiers.
    fn claims(&self) -> Vec<(u64, String)> {
        let signer = format!("{}@{}", self.workflow, self.reference);
        vec![
            (8, self.issuer.clone()),
            (9, signer.clone()),
            (11, "github-hosted".to_owned()),
            (12, self.repository.clone()),
            (13, self.commit.clone()),
            (14, self.reference.clone()),
            (18, signer),
            (20, "push".to_owned()),
            (21, format!("{}/actions/runs/1/attempts/1", self.repository)),
        ]
    }
}

impl Sigstore {
    /// A new one.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "sigstore of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { authority, log: KeyPair::generate().unwrap() }
    }

    /// Its `trusted_root.json`.
    pub fn trusted_root(&self) -> String {
        let valid = json!({ "start": "2025-01-01T00:00:00Z" });
        let root = json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [{
                "baseUrl": format!("https://{LOG}"),
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": STANDARD.encode(self.log.subject_public_key_info()),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": valid,
                },
                "logId": { "keyId": STANDARD.encode(self.log_id()) },
            }],
            "certificateAuthorities": [{
                "subject": { "organization": "test", "commonName": "sigstore of a test" },
                "uri": "https://fulcio.of.a.test",
                "certChain": { "certificates": [{ "rawBytes": STANDARD.encode(self.authority.der()) }] },
                "validFor": valid,
            }],
        });
        root.to_string()
    }

    /// Signs an attestation, and returns its bundle.
    pub fn sign(&self, attestation: &Attestation) -> Value {
        let key = KeyPair::generate().unwrap();
        let certificate = self.certificate(attestation, &key);
        let (payload, kind) = (attestation.statement(), "application/vnd.in-toto+json");
        let mut signed = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
        signed.extend(&payload);
        let signature = STANDARD.encode(sign(&key, &signed));
        let logged = attestation.logged.then(|| {
            let pem = STANDARD.encode(certificate.pem());
            let body = json!({
                "apiVersion": "0.0.1",
                "kind": "dsse",
                "spec": {
                    "envelopeHash": { "algorithm": "sha256", "value": hex::encode(Sha256::digest(&signed)) },
                    "payloadHash": { "algorithm": "sha256", "value": hex::encode(Sha256::digest(&payload)) },
                    "signatures": [{ "signature": signature, "verifier": pem }],
                },
            });
            self.log(&body, attestation.promised)
        });
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": { "rawBytes": STANDARD.encode(certificate.der()) },
                "tlogEntries": logged.into_iter().collect::<Vec<_>>(),
            },
            "dsseEnvelope": { "payload": STANDARD.encode(&payload), "payloadType": kind, "signatures": [{ "sig": signature }] },
        })
    }

    fn certificate(&self, attestation: &Attestation, key: &KeyPair) -> rcgen::Certificate {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2025, 6, attestation.day);
        params.not_after = date_time_ymd(2025, 6, attestation.day + 1);
        let signer = format!("{}@{}", attestation.workflow, attestation.reference);
        params.subject_alt_names = vec![SanType::URI(signer.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.custom_extensions = attestation.claims().iter().map(|(last, value)| claim(*last, value)).collect();
        params.signed_by(key, &self.authority).unwrap()
    }

    /// Puts an entry into the log, as its only one.
    fn log(&self, body: &Value, promised: bool) -> Value {
        let body = body.to_string();
        let root = Sha256::digest([&[0], body.as_bytes()].concat());
        let encoded = STANDARD.encode(&body);
        let note = format!("{LOG}\n1\n{}\n", STANDARD.encode(root));
        let mark = [&self.log_id()[..4], &sign(&self.log, note.as_bytes())].concat();
        let mut entry = json!({
            "logIndex": "0",
            "logId": { "keyId": STANDARD.encode(self.log_id()) },
            "kindVersion": { "kind": "dsse", "version": "0.0.1" },
            "integratedTime": SIGNED.to_string(),
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": STANDARD.encode(root),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": { "envelope": format!("{note}\n— {LOG} {}\n", STANDARD.encode(mark)) },
            },
            "canonicalizedBody": encoded,
        });
        if promised {
            // In the order of the canonical form.
            let promise = json!({ "body": encoded, "integratedTime": SIGNED, "logID": hex::encode(self.log_id()), "logIndex": 0 });
            let signature = sign(&self.log, promise.to_string().as_bytes());
            entry["inclusionPromise"] = json!({ "signedEntryTimestamp": STANDARD.encode(signature) });
        }
        entry
    }

    fn log_id(&self) -> Vec<u8> {
        Sha256::digest(self.log.subject_public_key_info()).to_vec()
    }
}

fn sign(key: &KeyPair, message: &[u8]) -> Vec<u8> {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.serialized_der(), &random).unwrap();
    key.sign(&random, message).unwrap().as_ref().to_vec()
}

/// An extension with a text, as a UTF8String of DER.
fn claim(last: u64, value: &str) -> CustomExtension {
    let length = u8::try_from(value.len()).unwrap();
    let mut content = if length < 0x80 { vec![0x0c, length] } else { vec![0x0c, 0x81, length] };
    content.extend(value.as_bytes());
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, last], content)
}
