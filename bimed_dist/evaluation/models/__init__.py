"""Encoders and what is done with them: encoding of examples, fine-tuning, masked-LM and next-sentence evaluation."""
