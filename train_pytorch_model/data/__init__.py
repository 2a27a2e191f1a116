"""ImageSet → batches: decode each image once, keep it as bytes, normalise it on the device."""
