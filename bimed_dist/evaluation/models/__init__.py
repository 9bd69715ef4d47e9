"""Encoders: encoding of examples, fine-tuning, masked-LM and next-sentence evaluation, retrieval, keyword rules."""
