"""The GGUF format, as llama.cpp and Ollama read it: what a model, a tokenizer and a chat template become in it."""
