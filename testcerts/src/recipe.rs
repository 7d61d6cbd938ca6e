//! One certificate: what it says, who signs it, on which key.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{X509Name, X509};

/// The key of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// NIST P-256.
    Ec,
    /// RSA with so many bits.
    Rsa(u32),
}

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Signs other certificates.
    Authority,
    /// TLS servers only.
    Server,
    /// TLS clients only.
    Client,
}

/// An end of a certificate's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So many days from now; negative: ago.
    Days(i64),
    /// Seconds since 1970.
    Unix(i64),
}

impl Moment {
    fn asn1(self) -> Result<Asn1Time, ErrorStack> {
        let seconds = match self {
            Moment::Unix(seconds) => seconds,
            Moment::Days(days) => {
                let now = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(0, |since| since.as_secs() as i64);
                now + days * 86_400
            }
        };
        Asn1Time::from_unix(seconds)
    }
}

/// A certificate with its key and what is sent along.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: X509,
    /// Its private key.
    pub key: PKey<Private>,
    /// The certificates that are sent after it.
    pub chain: Vec<X509>,
}

impl Identity {
    /// The certificate and what is sent along, leaf first, as PEM.
    pub fn chain_pem(&self) -> Result<Vec<u8>, ErrorStack> {
        let mut pem = self.certificate.to_pem()?;
        for certificate in &self.chain {
            pem.extend(certificate.to_pem()?);
        }
        Ok(pem)
    }

    /// The private key as PEM (PKCS#8).
    pub fn key_pem(&self) -> Result<Vec<u8>, ErrorStack> {
        self.key.private_key_to_pem_pkcs8()
    }

    /// The private key as PEM, encrypted.
    pub fn encrypted_key_pem(&self, password: &str) -> Result<Vec<u8>, ErrorStack> {
        self.key
            .private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), password.as_bytes())
    }

    /// Sends this authority's certificate along.
    #[must_use]
    pub fn with_chain(mut self, authorities: &[&Identity]) -> Identity {
        self.chain = authorities.iter().map(|a| a.certificate.clone()).collect();
        self
    }
}

/// How to make a certificate. The default: a server's, P-256, SHA-256, valid from yesterday for 30 days, no name but
/// the CN, self-signed.
#[derive(Clone)]
pub struct Recipe<'a> {
    common_name: &'a str,
    names: &'a [&'a str],
    issuer: Option<&'a Identity>,
    purpose: Purpose,
    key: KeyKind,
    digest: MessageDigest,
    from: Moment,
    until: Moment,
}

impl<'a> Recipe<'a> {
    /// A server's certificate with this CN.
    pub fn new(common_name: &'a str) -> Recipe<'a> {
        Recipe {
            common_name,
            names: &[],
            issuer: None,
            purpose: Purpose::Server,
            key: KeyKind::Ec,
            digest: MessageDigest::sha256(),
            from: Moment::Days(-1),
            until: Moment::Days(30),
        }
    }

    /// An authority with this CN.
    pub fn authority(common_name: &'a str) -> Recipe<'a> {
        Recipe::new(common_name).purpose(Purpose::Authority)
    }

    /// subjectAltName: what parses as an IP address becomes one, the rest DNS names.
    #[must_use]
    pub fn names(mut self, names: &'a [&'a str]) -> Self {
        self.names = names;
        self
    }

    /// Who signs it; without an issuer it signs itself.
    #[must_use]
    pub fn issuer(mut self, issuer: &'a Identity) -> Self {
        self.issuer = Some(issuer);
        self
    }

    /// What it is for.
    #[must_use]
    pub fn purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = purpose;
        self
    }

    /// Its key.
    #[must_use]
    pub fn key(mut self, key: KeyKind) -> Self {
        self.key = key;
        self
    }

    /// Signed with SHA-1, which security level 1 and up refuses.
    #[must_use]
    pub fn sha1(mut self) -> Self {
        self.digest = MessageDigest::sha1();
        self
    }

    /// Its life.
    #[must_use]
    pub fn valid(mut self, from: Moment, until: Moment) -> Self {
        self.from = from;
        self.until = until;
        self
    }

    /// Makes the key and the certificate.
    pub fn bake(&self) -> Result<Identity, ErrorStack> {
        let key = match self.key {
            KeyKind::Ec => PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(
                Nid::X9_62_PRIME256V1,
            )?)?)?,
            KeyKind::Rsa(bits) => PKey::from_rsa(Rsa::generate(bits)?)?,
        };
        self.bake_with(key)
    }

    /// Makes the certificate on a key that is there already.
    pub fn bake_with(&self, key: PKey<Private>) -> Result<Identity, ErrorStack> {
        let mut name = X509Name::builder()?;
        name.append_entry_by_nid(Nid::COMMONNAME, self.common_name)?;
        let name = name.build();
        let mut serial = BigNum::new()?;
        serial.rand(127, MsbOption::MAYBE_ZERO, false)?;

        let mut builder = X509::builder()?;
        builder.set_version(2)?;
        builder.set_serial_number(&*serial.to_asn1_integer()?)?;
        builder.set_subject_name(&name)?;
        builder.set_issuer_name(match self.issuer {
            Some(issuer) => issuer.certificate.subject_name(),
            None => &name,
        })?;
        builder.set_not_before(&*self.from.asn1()?)?;
        builder.set_not_after(&*self.until.asn1()?)?;
        builder.set_pubkey(&key)?;
        self.extensions(&mut builder)?;
        let signer = self.issuer.map_or(&key, |issuer| &issuer.key);
        builder.sign(signer, self.digest)?;
        Ok(Identity {
            certificate: builder.build(),
            key,
            chain: Vec::new(),
        })
    }

    fn extensions(&self, builder: &mut openssl::x509::X509Builder) -> Result<(), ErrorStack> {
        if self.purpose == Purpose::Authority {
            builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
            builder.append_extension(
                KeyUsage::new()
                    .critical()
                    .key_cert_sign()
                    .crl_sign()
                    .build()?,
            )?;
        } else {
            builder.append_extension(BasicConstraints::new().critical().build()?)?;
            builder.append_extension(
                KeyUsage::new()
                    .critical()
                    .digital_signature()
                    .key_encipherment()
                    .build()?,
            )?;
            let mut usage = ExtendedKeyUsage::new();
            match self.purpose {
                Purpose::Client => usage.client_auth(),
                _ => usage.server_auth(),
            };
            builder.append_extension(usage.build()?)?;
        }
        let key_id = {
            let context =
                builder.x509v3_context(self.issuer.map(|issuer| &*issuer.certificate), None);
            SubjectKeyIdentifier::new().build(&context)?
        };
        builder.append_extension(key_id)?;
        if let Some(issuer) = self.issuer {
            let authority = {
                let context = builder.x509v3_context(Some(&issuer.certificate), None);
                AuthorityKeyIdentifier::new().keyid(true).build(&context)?
            };
            builder.append_extension(authority)?;
        }
        if !self.names.is_empty() {
            let mut names = SubjectAlternativeName::new();
            for name in self.names {
                if name.parse::<std::net::IpAddr>().is_ok() {
                    names.ip(name);
                } else {
                    names.dns(name);
                }
            }
            let names = {
                let context = builder.x509v3_context(None, None);
                names.build(&context)?
            };
            builder.append_extension(names)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_signed_by_its_issuer_and_carries_its_names() {
        let ca = Recipe::authority("root").bake().unwrap();
        let leaf = Recipe::new("leaf")
            .names(&["localhost", "127.0.0.1", "::1"])
            .issuer(&ca)
            .bake()
            .unwrap();
        assert!(leaf.certificate.verify(&ca.key).unwrap());
        let names = leaf.certificate.subject_alt_names().unwrap();
        assert_eq!(names[0].dnsname(), Some("localhost"));
        assert_eq!(names[1].ipaddress(), Some(&[127u8, 0, 0, 1][..]));
        assert_eq!(names[2].ipaddress().map(<[u8]>::len), Some(16));
    }
}
