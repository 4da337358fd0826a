"""The published models: Qwen-VL as the reader, LTX-Video as the drawer, with our connector between them or without."""
