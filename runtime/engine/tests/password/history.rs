//! One life: a policy and a past chosen by seed, then everything is well and must come to rest.

use std::collections::BTreeSet;
use std::time::Duration;

use kakehi_engine::password::{
    Event, InitialPassword, MailMode, Policy, Preset, Scope, SlotKey, StateKind, UserEvent,
};

use crate::random::Random;
use crate::server::Mood;
use crate::world::{AGENTS, PEOPLE, Result, TARGETS, World, alias_of, target_of, user_of};

/// Rounds after which everything must be at rest once nothing goes wrong any more.
const ROUNDS_MAX: u32 = 200;

pub struct Life {
    pub told: Vec<String>,
    pub reached: BTreeSet<u8>,
    pub outcome: Result,
}

pub fn live(seed: u64, steps: u32) -> Life {
    let mut random = Random::new(seed);
    let policy = policy(&mut random);
    let mut world = World::new(policy, random);
    let outcome = go(&mut world, steps);
    Life { told: world.told, reached: world.watch.reached, outcome }
}

fn go(world: &mut World, steps: u32) -> Result {
    for target in TARGETS {
        for person in PEOPLE {
            if world.random.below(4) > 0 {
                appear(world, target, person)?;
            }
        }
    }
    for _ in 0..steps {
        step(world)?;
    }
    settle(world)
}

fn policy(random: &mut Random) -> Policy {
    let preset = random.choose(&[Preset::Balanced, Preset::Counted, Preset::Evented]);
    let mut policy = Policy::preset(preset, Some(60));
    policy.rejected.max = match preset {
        Preset::Counted => Some(random.below(3)),
        _ => random.choose(&[None, None, Some(2)]),
    };
    policy.not_found.triggers.timer = random.once_in(3);
    policy.rejected.triggers.timer |= random.once_in(4);
    policy.poison_after = random.choose(&[1, 2]);
    policy.breaker_after = 3;
    policy.max_flips_per_user_per_hour = random.choose(&[3, 6, 6]);
    policy.pause_freezes_expiry = random.once_in(2);
    policy.mail = random.choose(&[MailMode::Off, MailMode::Episode, MailMode::EveryAttempt]);
    policy.initial_password = random.choose(&[InitialPassword::None, InitialPassword::Random]);
    if random.once_in(4) {
        policy.expiry_states.insert(StateKind::Ready);
        policy.expiry = Some(Duration::from_secs(100));
    }
    policy
}

fn step(world: &mut World) -> Result {
    let person = world.random.choose(&PEOPLE);
    let target = world.random.choose(&TARGETS);
    let slot = SlotKey { target: target.into(), user: user_of(person) };
    match world.random.below(100) {
        0..12 => {
            let agent = world.random.below(AGENTS.len() as u32) as usize;
            let password = world.fresh_or_old(person);
            let alias = person == PEOPLE[2] && world.random.once_in(3);
            let user = if alias { alias_of(person) } else { user_of(person) };
            world.change(agent, person, user.clone(), password);
            if agent == 0 && world.random.once_in(2) {
                // Another controller of the same domain tells the same change.
                world.change(1, person, user, password);
            }
        }
        12..30 if !world.spool.is_empty() => {
            let at = world.random.below(world.spool.len() as u32) as usize;
            world.intake(at)?;
        }
        30..48 => match world.pickable() {
            slots if slots.is_empty() => world.pick(slot)?,
            slots => {
                let at = world.random.below(slots.len() as u32) as usize;
                world.pick(slots[at].clone())?;
            }
        },
        48..72 => world.work()?,
        72..84 => {
            let seconds = world.random.choose(&[1, 3, 10, 31, 31, 61, 61, 900, 4000, 90_000]);
            world.advance(Duration::from_secs(seconds))?;
        }
        84..90 => {
            let mood = world.random.choose(&[
                Mood::Well,
                Mood::Well,
                Mood::Down,
                Mood::Failing,
                Mood::FailsFor(person),
                Mood::FailsFor(person),
                Mood::Refusing,
                Mood::ReadOnly,
                Mood::Baffled,
                Mood::Strict,
                Mood::Strict,
            ]);
            if let Some(server) = world.servers.get_mut(target) {
                server.mood = mood;
            }
        }
        90..95 => people(world, target, person, slot)?,
        _ => operators(world, target, person, slot)?,
    }
    Ok(())
}

/// What the synchronization does with people.
fn people(world: &mut World, target: &'static str, person: &'static str, slot: SlotKey) -> Result {
    let user = user_of(person);
    match world.random.below(8) {
        0 | 1 => return appear(world, target, person),
        2 => {
            if let Some(server) = world.servers.get_mut(target) {
                server.people.remove(person);
            }
            world.reset.insert((target, person));
            return Ok(());
        }
        3 | 4 => world.commit(Event::User { slot, what: UserEvent::Settled })?,
        5 => world.commit(Event::Renamed { user, login: format!("{person}-new") })?,
        6 => world.commit(Event::Deleted { user })?,
        _ => {
            world.resolved = true;
            let (from, to) = (alias_of(PEOPLE[2]), user_of(PEOPLE[2]));
            world.commit(Event::Joined { from, to })?
        }
    };
    Ok(())
}

fn appear(world: &mut World, target: &'static str, person: &'static str) -> Result {
    let Some(server) = world.servers.get_mut(target) else { return Ok(()) };
    if !server.people.contains_key(person) {
        server.people.insert(person, None);
        world.reset.insert((target, person));
        let slot = SlotKey { target: target.into(), user: user_of(person) };
        world.commit(Event::User { slot, what: UserEvent::Added })?;
    }
    Ok(())
}

fn operators(
    world: &mut World,
    target: &'static str,
    person: &'static str,
    slot: SlotKey,
) -> Result {
    let scope = match world.random.below(4) {
        0 => Scope::All,
        1 => Scope::Target(target.into()),
        2 => Scope::User(user_of(person)),
        _ => Scope::Slot(slot),
    };
    let event = match world.random.below(10) {
        0 | 1 => Event::Retry { scope },
        2 => Event::Purge { scope },
        3 => Event::Pause { scope },
        4..7 => Event::Resume { scope },
        7 => Event::CredentialReloaded { target: target.into() },
        8 => {
            world.filtered = !world.filtered;
            return Ok(());
        }
        _ => {
            let live = world.live_records();
            if !live.is_empty() {
                let record = world.random.choose(&live);
                world.unopenable.insert(record);
            }
            return world.crash();
        }
    };
    world.commit(event).map(drop)
}

/// Everything is well from now on: what is newest must arrive, and then there must be rest (I6).
fn settle(world: &mut World) -> Result {
    world.calm = true;
    world.watch.calm = true;
    world.unopenable.clear();
    world.told.push("everything is well".into());
    for server in world.servers.values_mut() {
        server.mood = Mood::Well;
    }
    for target in TARGETS {
        for person in PEOPLE {
            appear(world, target, person)?;
        }
        world.commit(Event::CredentialReloaded { target: target.into() })?;
        world.commit(Event::Resume { scope: Scope::Target(target.into()) })?;
    }
    world.commit(Event::Resume { scope: Scope::All })?;
    world.commit(Event::Retry { scope: Scope::All })?;
    rest(world)?;
    rested(world)?;
    // One more change of everybody, long after: it must arrive everywhere, in any order of things.
    world.advance(Duration::from_secs(7200))?;
    world.filtered = false;
    for person in PEOPLE {
        let password = world.number() as u32;
        world.change(0, person, user_of(person), password);
    }
    rest(world)?;
    let held = |target: &str, person: &str| world.servers[target].people.get(person);
    for person in PEOPLE {
        for target in TARGETS {
            if held(target, person) != held("corp", person) {
                return Err(format!("I6: {person} has another password at {target} than at corp"));
            }
        }
    }
    rested(world)
}

fn rest(world: &mut World) -> Result {
    for _ in 0..ROUNDS_MAX {
        if world.at_rest() {
            return Ok(());
        }
        round(world)?;
    }
    Err("I6: there is no rest, though everything is well".into())
}

fn round(world: &mut World) -> Result {
    let slots: Vec<SlotKey> = world.queue.slots.keys().cloned().collect();
    for slot in slots {
        world.commit(Event::Resume { scope: Scope::Slot(slot.clone()) })?;
        world.commit(Event::User { slot, what: UserEvent::Settled })?;
    }
    loop {
        let pickable = world.pickable();
        match world.random.below(3) {
            0 if !world.spool.is_empty() => world.intake(0)?,
            1 if !pickable.is_empty() => {
                let at = world.random.below(pickable.len() as u32) as usize;
                world.pick(pickable[at].clone())?;
            }
            2 if world.has_jobs() => world.work()?,
            _ if world.spool.is_empty() && pickable.is_empty() && !world.has_jobs() => break,
            _ => {}
        }
    }
    world.advance(Duration::from_secs(61))
}

fn rested(world: &World) -> Result {
    world.watch.all_ended_once(&world.queue)?;
    for key in world.queue.slots.keys() {
        // Directories are changed by their own people, and one person has two keys.
        let (target, person) = (target_of(&key.target), crate::world::person_of(&key.user));
        if target != "cloud" || person == PEOPLE[2] || world.reset.contains(&(target, person)) {
            continue;
        }
        let held = world.servers[target].people.get(person).copied().flatten();
        if let Some(newest) = world.newest_delivered(key)
            && held != Some(newest)
        {
            return Err(format!("I6: {key:?} has {held:?}, and the newest is {newest}"));
        }
    }
    Ok(())
}
