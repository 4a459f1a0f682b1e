//! What a page of a hundred messages costs on its way into the store: normalised, hashed, packed, committed.

use chatloom::store::Record;
use divan::Bencher;
use divan::counter::ItemsCount;

use crate::work::{PAGE, PROVIDERS, Shop, adapter, hash, messages, normalise};

#[divan::bench(args = PROVIDERS)]
fn normalising(bencher: Bencher<'_, '_>, provider: &str) {
    let (adapter, page) = (adapter(provider), messages(provider, 0, PAGE));
    bencher.counter(ItemsCount::new(PAGE)).bench_local(|| normalise(adapter.as_ref(), &page));
}

#[divan::bench(args = PROVIDERS)]
fn hashing(bencher: Bencher<'_, '_>, provider: &str) {
    let records = normalise(adapter(provider).as_ref(), &messages(provider, 0, PAGE));
    bencher.counter(ItemsCount::new(PAGE)).bench_local(|| hash(&records));
}

#[divan::bench(args = PROVIDERS)]
fn packing(bencher: Bencher<'_, '_>, provider: &str) {
    let (adapter, page) = (adapter(provider), messages(provider, 0, PAGE));
    bencher
        .counter(ItemsCount::new(PAGE))
        .with_inputs(|| normalise(adapter.as_ref(), &page))
        .bench_local_values(|records| records.into_iter().map(Record::made_ready).collect::<Vec<_>>());
}

/// New messages, each page in a transaction of its own.
#[divan::bench(args = PROVIDERS, sample_count = 100, sample_size = 1)]
fn committing(bencher: Bencher<'_, '_>, provider: &str) {
    let (adapter, shop, mut from) = (adapter(provider), Shop::new(), 0);
    bencher
        .counter(ItemsCount::new(PAGE))
        .with_inputs(|| {
            from += PAGE;
            normalise(adapter.as_ref(), &messages(provider, from, PAGE))
        })
        .bench_local_values(|records| shop.commit(records));
}

/// Messages that are stored already and say what they said.
#[divan::bench(args = PROVIDERS, sample_count = 100, sample_size = 1)]
fn meeting_again(bencher: Bencher<'_, '_>, provider: &str) {
    let (adapter, shop, page) = (adapter(provider), Shop::new(), messages(provider, 0, PAGE));
    shop.commit(normalise(adapter.as_ref(), &page));
    bencher
        .counter(ItemsCount::new(PAGE))
        .with_inputs(|| normalise(adapter.as_ref(), &page))
        .bench_local_values(|records| shop.commit(records));
}
