"""Foundation to trainable model: transplant of embedding rows, packed forward pass, export."""
