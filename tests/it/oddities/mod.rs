//! What real accounts hold besides plain conversations, one file per provider.

mod bd;
mod sitegpt;
mod zaia;
