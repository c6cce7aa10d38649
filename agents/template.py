"""What is really sent: smolagents' messages as plain text, and that text as a chat template's tokens.

Training and inference both come through here, which is what makes their tokens the same.
"""

from __future__ import annotations

from smolagents.models import get_clean_message_list, tool_role_conversions


def plain(messages) -> list[dict[str, str]]:
    """smolagents' messages as role and text, the way a chat template takes them."""
    clean = get_clean_message_list(
        messages, role_conversions=tool_role_conversions, flatten_messages_as_text=True
    )
    return [{"role": m["role"].value, "content": m["content"]} for m in clean]


def prompt_ids(tokenizer, messages: list[dict[str, str]]) -> list[int]:
    """What the model is sent: the chat, and the opening of its turn.

    A marker of the template inside a message (a web page that says `<|im_end|>`) stays text.
    """
    return tokenizer.apply_chat_template(
        messages,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=False,
        sanitize_control_tokens=True,
    )


def end_of_turn_id(tokenizer) -> int:
    """The token that closes a turn of the assistant: read off a rendered chat, not guessed."""
    chat = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "ZZZZ"}]
    text = tokenizer.apply_chat_template(chat, tokenize=False)
    special = set(tokenizer.get_added_vocab().values())
    after = text[text.rindex("ZZZZ") + 4 :]
    for token in tokenizer(after, add_special_tokens=False).input_ids:
        if token in special:
            return token
    return tokenizer.eos_token_id
