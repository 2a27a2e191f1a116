"""What a model directory's spec names → an ``nn.Module``: offline, with the directory's weights."""
