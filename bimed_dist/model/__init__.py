"""Foundation to trainable model: embedding initialization, packed forward pass, export."""
