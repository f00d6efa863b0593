"""How landmarks are learnt: network, codec, losses, data, training and prediction (torch and MONAI)."""
