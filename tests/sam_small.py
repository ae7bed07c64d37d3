"""A SAM of 64 pixels with random numbers, as `transformers` keeps it."""

import torch
import transformers


def small_sam():
    """The network, always the same."""
    vision = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 64, "patch_size": 16, "output_channels": 32}
    vision |= {"mlp_dim": 64, "window_size": 2, "global_attn_indexes": [1], "num_pos_feats": 16}
    prompt = {"hidden_size": 32, "image_size": 64, "patch_size": 16, "image_embedding_size": 4, "mask_input_channels": 8}
    decoder = {"hidden_size": 32, "num_attention_heads": 2, "mlp_dim": 64, "iou_head_hidden_dim": 32}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return transformers.SamModel(transformers.SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)).eval()
