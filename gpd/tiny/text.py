"""The miniature's text side: a byte-level tokenizer fitted on the captions' words, and a small frozen UMT5.

The encoder is not trained. Random UMT5 weights give every word a direction of its own and mix the words of a
prompt, which is all that the transformer's cross-attention needs; real Wan's text encoder is frozen as well.
Being byte-level, the tokenizer takes any script and emoji without an unknown token.
"""

import itertools
import re

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from gpd.tiny.clips import all_scenes

VOCABULARY_SIZE = 384  # pad, eos, 256 bytes and the merges that make every word of the captions one token


def make_tokenizer() -> Tokenizer:
    """Byte-level BPE fitted on all captions; ids 0 and 1 are <pad> and </s>, each text ends in </s>."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=["<pad>", "</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # Every word a few times rather than every caption: the result does not depend on the order of scenes.
    words = sorted(set(itertools.chain(*(re.findall(r"\S+", scene.caption) for scene in all_scenes()))))
    tokenizer.train_from_iterator(words * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer


UMT5_CONFIG = {
    "vocab_size": VOCABULARY_SIZE,
    "d_model": 64,
    "d_kv": 16,
    "d_ff": 128,
    "num_layers": 2,
    "num_heads": 4,
    "relative_attention_num_buckets": 16,
    "dropout_rate": 0.0,
    "pad_token_id": 0,
    "eos_token_id": 1,
}
