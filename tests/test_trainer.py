"""The trainer: what it saves work on changes neither the loss nor the gradient."""

from __future__ import annotations

import copy

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM
from trl import SFTConfig, SFTTrainer

from distill.callbacks import BAD_STEPS, Guard
from distill.lora import lora_config
from distill.once import LEAST, foldable, shared_start
from distill.run import RunError
from distill.settings import Settings
from distill.trainer import StudentTrainer, as_rows, trained_weight


def rows(n: int = 4, shared: int = 48, weighted: bool = False) -> list[dict]:
    """Samples of unequal lengths with a common start, two turns of each trained on."""
    torch.manual_seed(3)
    start = torch.randint(10, 500, (shared,)).tolist()
    made = []
    for i in range(n):
        ids = start + torch.randint(10, 500, (30 + 17 * i,)).tolist()
        labels = [-100] * len(ids)
        for a in (shared + 5, len(ids) - 8):
            labels[a : a + 6] = ids[a : a + 6]
        row = {"input_ids": ids, "labels": labels}
        made.append(
            {**row, "weights": [0.5 + (j % 3) for j in range(len(ids))]} if weighted else row
        )
    return made


def make(tiny, tokenizer, tmp_path, kind=StudentTrainer, data=None, full=False, **settings):
    torch.manual_seed(0)
    data = data or rows()
    ours = kind is StudentTrainer
    trainer = kind(
        model=AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32),
        processing_class=copy.deepcopy(tokenizer),
        train_dataset=Dataset.from_list(data),
        peft_config=None if full else lora_config(Settings(rank=16, alpha=32, **settings)),
        args=SFTConfig(
            output_dir=str(tmp_path), per_device_train_batch_size=len(data), max_length=None, use_cpu=True,
            bf16=False, gradient_checkpointing=False, report_to=[], disable_tqdm=True, save_strategy="no",
            logging_steps=1, num_train_epochs=1, remove_unused_columns=not ours, dataloader_pin_memory=False,
            dataset_kwargs={"skip_prepare_dataset": True} if ours else None,
        ),
        **({"together": True, "longest": 200} if ours else {}),
    )  # fmt: skip
    if not full:  # LoRA begins as nothing; let it be something
        torch.manual_seed(1)
        for name, parameter in trainer.model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.05)
    return trainer


def gradient(trainer, data, together: bool) -> tuple[float, torch.Tensor]:
    inputs = trainer._prepare_inputs(as_rows(data))
    trainer.model.zero_grad(set_to_none=True)
    trainer.model.train()
    if together:
        loss = trainer._read_together(trainer.model, inputs, trained_weight(inputs))
    else:
        loss = trainer.compute_loss(trainer.model, inputs)
        loss.backward()
    found = [p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None]
    return loss.item(), torch.cat(found)


@pytest.mark.parametrize("full", [False, True], ids=["adapter", "all weights"])
@pytest.mark.parametrize("weighted", [False, True], ids=["even", "weighted"])
def test_reading_what_is_common_once_changes_nothing(tiny, tokenizer, tmp_path, full, weighted):
    data = rows(weighted=weighted)
    trainer = make(tiny, tokenizer, tmp_path, data=data, full=full, dropout=0.0)
    assert trainer.share and bool(trainer.fold) != full
    apart, expected = gradient(trainer, data, together=False)
    once, found = gradient(trainer, data, together=True)
    assert once == pytest.approx(apart, rel=1e-5)
    assert (found - expected).norm() < 1e-4 * expected.norm()
    assert trainer.agree(data)


def test_the_loss_is_trls(tiny, tokenizer, tmp_path):
    """TRL's own, over the padded batch."""
    ours = make(tiny, tokenizer, tmp_path, dropout=0.0)
    theirs = make(tiny, tokenizer, tmp_path, kind=SFTTrainer, dropout=0.0)
    theirs.train()
    loss, _ = gradient(ours, rows(), together=True)
    assert loss == pytest.approx(theirs.state.log_history[0]["loss"], rel=1e-4)


def test_a_model_that_reads_a_shared_start_otherwise_is_read_apart(tiny, tokenizer, tmp_path):
    trainer = make(tiny, tokenizer, tmp_path, dropout=0.0)
    forward = trainer.model.forward

    def misplaced(*args, past_key_values=None, **kwargs):
        if past_key_values is not None and past_key_values.get_seq_length():
            past_key_values.crop(-past_key_values.get_seq_length())  # forgets what came before
        return forward(*args, past_key_values=past_key_values, **kwargs)

    trainer.model.forward = misplaced
    assert not trainer.agree(rows())
    assert not trainer.share and not trainer.fold


def test_dropout_and_dora_are_not_folded(tiny, tokenizer, tmp_path):
    """With them, the folded weight is another function."""
    assert foldable(make(tiny, tokenizer, tmp_path, dropout=0.0).model)
    assert not foldable(make(tiny, tokenizer, tmp_path, dropout=0.1).model)
    assert not foldable(make(tiny, tokenizer, tmp_path, dropout=0.0, dora=True).model)


def test_a_start_ends_before_the_first_trained_token():
    ids = torch.arange(100)
    labels = torch.full((100,), -100)
    labels[60] = 60
    assert shared_start([ids, ids], [labels, labels]) == 59
    other = ids.clone()
    other[40] = 0
    assert shared_start([ids, other], [labels, labels]) == 40
    other[LEAST - 1] = 0
    assert shared_start([ids, other], [labels, labels]) == 0
    assert shared_start([ids], [labels]) == 0


def broken_at(trainer, steps: set[int]) -> Guard:
    """A training whose gradient is not a number in these steps."""
    guard, read, count = Guard(), trainer._read_together, 0

    def breaking(model, inputs, n):
        nonlocal count
        count += 1
        return read(model, inputs, float("nan") if count in steps else n)

    trainer._read_together = breaking
    trainer.add_callback(guard)
    return guard


def test_a_step_that_is_not_finite_is_skipped_and_counted(tiny, tokenizer, tmp_path):
    trainer = make(tiny, tokenizer, tmp_path, data=rows(8), dropout=0.0)
    trainer.args.per_device_train_batch_size = trainer._train_batch_size = 2
    guard = broken_at(trainer, {2})
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.train()
    assert guard.skipped == 1 and trainer.state.global_step == 4
    after = list(trainer.model.parameters())
    assert all(torch.isfinite(p).all() for p in after)
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_training_that_is_not_finite_again_and_again_stops(tiny, tokenizer, tmp_path):
    trainer = make(tiny, tokenizer, tmp_path, data=rows(8), dropout=0.0)
    trainer.args.per_device_train_batch_size = trainer._train_batch_size = 1
    broken_at(trainer, set(range(2, 2 + BAD_STEPS)))
    with pytest.raises(RunError, match="not finite"):
        trainer.train()
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())
