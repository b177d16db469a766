// Package weights reads and writes policies and optimiser states as safetensors files: eight bytes with the length of a JSON header,
// the header (dtype, shape and place of every tensor), and the tensors' bytes, little-endian, one after the other. The ecosystem's
// tools read what is written here. Format: https://huggingface.co/docs/safetensors.
//
// What is written depends on the values alone, to the byte, so that a digest of the file names its contents. The header's metadata holds
// the policy's configuration and the digest of the values; reading checks both, and every length and offset, before it trusts them.
// Anything wrong is hone.ErrCorrupt. Files with other tensors, other dtypes or gaps, which other programs may write, are refused.
package weights
