"""The networks: HRNet backbone, landmark network, corner network, devices."""
