#!/bin/sh
# Makes the certificates that the tests of TLS use, valid for a hundred years.
# They protect nothing: their keys are public. To be run here, by hand.
set -eu
cd "$(dirname "$0")"

# A key, and a request to certify it: FILE, SUBJECT.
request() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$1-key.pem" -out "$1.csr" -subj "/CN=$2"
}

# A certificate: FILE, PURPOSE, DAYS.
certify() {
  printf '%s\n' 'basicConstraints=critical,CA:FALSE' \
    'keyUsage=critical,digitalSignature' "extendedKeyUsage=$2" \
    'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1' >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca-cert.pem -CAkey ca-key.pem \
    -CAcreateserial -days "$3" -extfile "$1.ext" -out "$1-cert.pem"
}

# `other` is an authority that no side in `good` trusts.
for directory in good other; do
  mkdir -p "$directory"
  cd "$directory"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout ca-key.pem -out ca-cert.pem -days 36500 \
    -subj "/CN=virstor test authority, $directory" \
    -addext 'basicConstraints=critical,CA:TRUE' \
    -addext 'keyUsage=critical,keyCertSign,cRLSign'
  request server localhost
  certify server serverAuth 36500
  request client 'virstor test client'
  certify client clientAuth 36500
  request expired 'virstor test client, expired'
  certify expired clientAuth -1
  request expired-server localhost
  certify expired-server serverAuth -1
  rm -f ca-key.pem ./*.csr ./*.ext ./*.srl
  cd ..
done
rm -f other/expired*
